namespace Cluster.Worker.Data.Formats;

/// <summary>A folder that a job names, kept within the node's data root.</summary>
internal static class DataFolder
{
    /// <summary>Whole path of a folder in the data root.</summary>
    /// <exception cref="DataSetException">It does not exist, or lies elsewhere.</exception>
    public static string Open(string dataRoot, string name)
    {
        // The job file's rule lets nothing else through; this is for who calls from elsewhere.
        if (name is "" or "." or ".." || name.AsSpan().ContainsAny('/', '\0'))
            throw new DataSetException($"data.folder is {name}; use the name of a folder in the node's data root, without a path");
        var path = Path.Combine(dataRoot, name);
        var (kind, _) = FileCalls.Stat(path, out var error);
        if (error == FileCalls.NotFound && Target(path) is null)
            throw new DataUnavailableException($"{path} does not exist; data.folder names a folder in the node's data root");
        if (error != 0)
            throw new DataSetException($"{path} {WhyLost(path, error)}");
        if (kind != FileKind.Folder)
            throw new DataSetException($"{path} is not a folder; data.folder names a folder in the node's data root");
        return IsWithin(dataRoot, path) ? path : throw new DataSetException($"{path} {WhyRefused(dataRoot)}");
    }

    /// <summary>Whether a path, links followed, is below the data root.</summary>
    public static bool IsWithin(string dataRoot, string path) =>
        FileCalls.RealPath(path) is { } real
        && FileCalls.RealPath(dataRoot) is { } root
        && real.AsSpan().StartsWith([.. root.AsSpan().TrimEnd((byte)'/'), (byte)'/']);

    /// <summary>Of a link, in words that follow its name.</summary>
    public static string WhyRefused(string dataRoot) =>
        $"is a link that leads out of the data root {dataRoot}; copy the files there or mount them";

    /// <summary>Opens what is a file, or a link to one: a FIFO would be waited for.</summary>
    /// <exception cref="DataSetException">It is something else.</exception>
    public static FileStream OpenFile(string path)
    {
        var (kind, _) = FileCalls.Stat(path, out var error);
        return error != 0 || kind == FileKind.File
            ? File.OpenRead(path)
            : throw new DataSetException($"{path} {FolderListing.WhyNoFile(kind)}");
    }

    /// <summary>A fault of the file's content lasts; one of the disk or the network may pass.</summary>
    public static DataSetException Unreadable(string path, Exception e, string what = "cannot be read") =>
        e is IOException and not EndOfStreamException
            ? new DataUnavailableException($"{path} {what}: {e.Message}", e)
            : new DataSetException($"{path} {what}: {e.Message}", e);

    /// <summary>What is wrong with an entry that the system gives no news of, in words that follow its name.</summary>
    /// <param name="path">The entry's.</param>
    /// <param name="error">The system's.</param>
    public static string WhyLost(string path, int error) => error switch
    {
        FileCalls.Circular => "is a link that goes in a circle",
        FileCalls.NotFound => $"is a link to {FileNames.Shown(Target(path) ?? "nothing")}, which does not exist",
        FileCalls.NoAccess or FileCalls.NotPermitted => "may not be read by the agent's user",
        _ => $"cannot be read: {FileCalls.Words(error)}",
    };

    /// <summary>Where a link leads, as it is written; null for what is no link, or cannot be looked at.</summary>
    private static string? Target(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
