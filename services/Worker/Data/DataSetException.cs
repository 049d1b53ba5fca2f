namespace Cluster.Worker.Data;

/// <summary>A data set is missing, damaged or not what the job needs. The message names the file and the offset, or the job's field and the remedy.</summary>
public sealed class DataSetException : Exception
{
    public DataSetException()
    {
    }

    public DataSetException(string message)
        : base(message)
    {
    }

    public DataSetException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
