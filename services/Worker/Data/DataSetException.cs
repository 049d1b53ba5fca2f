namespace Cluster.Worker.Data;

/// <summary>
/// A data set is damaged or not what the job needs, which another attempt cannot change. The message names the file and the offset, or the
/// job's field and the remedy.
/// </summary>
public class DataSetException : Exception
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

/// <summary>This node cannot read the data set now, which is no fault of the data: another attempt, perhaps on another node, may.</summary>
public sealed class DataUnavailableException : DataSetException
{
    public DataUnavailableException()
    {
    }

    public DataUnavailableException(string message)
        : base(message)
    {
    }

    public DataUnavailableException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
