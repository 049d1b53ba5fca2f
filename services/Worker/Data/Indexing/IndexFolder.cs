using System.Security.Cryptography;
using System.Text;

namespace Cluster.Worker.Data.Indexing;

/// <summary>Where a node keeps the indexes of its data sets: a few files each, whose names begin alike.</summary>
/// <param name="folder">The node's.</param>
/// <param name="dataSet">What tells the data set from others of the node.</param>
internal sealed class IndexFolder(string folder, string dataSet)
{
    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    // Of 256 bits; a collision costs two data sets their index and nothing else, since records go by whole paths.
    private const int NameLength = 16;

    private const string LockExtension = ".lock";

    private readonly string _begin = Path.Combine(
        folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(dataSet)))[..NameLength]);

    public string Index => $"{_begin}.index";

    public string Digests => $"{_begin}.digests";

    /// <summary>Over pixels as a job has them decoded.</summary>
    public string PixelSums(int channels, long maxPixels) => FormattableString.Invariant($"{_begin}.sums-{channels}-{maxPixels}");

    public string Lock => _begin + LockExtension;

    /// <summary>Of this process: a file that is not whole yet.</summary>
    public string Aside => $"{_begin}.{Environment.ProcessId}-{Environment.CurrentManagedThreadId}.new";

    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Create() => Directory.CreateDirectory(folder, OwnersOnly);

    /// <summary>What ranks that were killed have left. For who holds the lock.</summary>
    public void RemoveUnfinished()
    {
        foreach (var left in Directory.GetFiles(folder, $"{Path.GetFileName(_begin)}.*.new").Except([Aside]))
            Remove(left);
    }

    /// <summary>The index is used: others go before it.</summary>
    public void Touch()
    {
        try
        {
            File.SetLastWriteTimeUtc(Index, DateTime.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // There is none yet, or it may go earlier than it should.
        }
    }

    /// <summary>Removes what was used least recently until the rest is within the limits; never this data set's own.</summary>
    public void Trim(DataIndexOptions options)
    {
        var byUse = new DirectoryInfo(folder).GetFiles()
            .GroupBy(file => file.Name.Split('.')[0])
            .OrderByDescending(files => files.Key == Path.GetFileName(_begin))
            .ThenByDescending(files => files.Max(file => file.LastWriteTimeUtc));
        var (dataSets, bytes) = (0, 0L);
        foreach (var files in byUse)
        {
            bytes += files.Sum(Length);
            if (++dataSets > 1 && (dataSets > options.MaxDataSets || bytes > options.MaxBytes))
                files.ToList().ForEach(file => Remove(file.FullName));
        }
    }

    public static void Remove(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It stays until the next attempt at it.
        }
    }

    // One that has gone meanwhile takes nothing, and a lock file's length is no space.
    private static long Length(FileInfo file) => file.Exists && file.Extension != LockExtension ? file.Length : 0;
}
