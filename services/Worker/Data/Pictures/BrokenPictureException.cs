namespace Cluster.Worker.Data.Pictures;

/// <summary>
/// A picture cannot be read. The message says what is wrong with it, and which file or shard's entry it is once that is known.
/// </summary>
public sealed class BrokenPictureException : Exception
{
    public BrokenPictureException()
    {
    }

    public BrokenPictureException(string message)
        : base(message)
    {
    }

    public BrokenPictureException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
