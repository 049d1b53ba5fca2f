namespace Cluster.Worker.Data.Indexing;

/// <summary>Who lists a data set for the ranks of a node: the one that holds the lock file, by flock, which the kernel takes from a
/// process that dies.</summary>
/// <remarks>The file's length tells how many entries the holder has looked at: that needs no space, which a full disk would
/// refuse.</remarks>
internal sealed class DataIndexLock(string path) : IDisposable
{
    // EWOULDBLOCK: .NET says so of a file that somebody else holds.
    private const int IsHeldElsewhere = 11;

    private FileStream? _held;

    public bool IsHeld => _held is not null;

    /// <summary>How far the holder is, as it has said.</summary>
    public long Progress => new FileInfo(path) is { Exists: true, Length: var entries } ? entries : 0;

    /// <exception cref="IOException">There can be no lock.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public bool TryTake()
    {
        try
        {
            _held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            return true;
        }
        catch (IOException e) when (e.HResult == IsHeldElsewhere)
        {
            return false;
        }
    }

    public void Tell(long entries)
    {
        try
        {
            _held?.SetLength(entries);
        }
        catch (IOException)
        {
            // Others lose patience at the worst, and list for themselves.
        }
    }

    public void Release()
    {
        _held?.Dispose();
        _held = null;
    }

    public void Dispose() => Release();
}
