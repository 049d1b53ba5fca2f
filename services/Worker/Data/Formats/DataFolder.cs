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
        if (!Directory.Exists(path))
            throw new DataSetException($"{path} does not exist; data.folder names a folder in the node's data root");
        RequireWithin(dataRoot, new DirectoryInfo(path));
        return path;
    }

    /// <summary>Refuses a link that leads out of the data root: a job may read what the node offers and nothing else.</summary>
    public static void RequireWithin(string dataRoot, FileSystemInfo entry)
    {
        if (!IsWithin(dataRoot, entry))
            throw new DataSetException($"{entry.FullName} is a link that leads out of the data root {dataRoot}; copy the files there or mount them");
    }

    /// <summary>True for what is no link, or one to somewhere within the data root.</summary>
    public static bool IsWithin(string dataRoot, FileSystemInfo entry) =>
        !entry.Attributes.HasFlag(FileAttributes.ReparsePoint)
        || (entry.ResolveLinkTarget(returnFinalTarget: true) is { Exists: true } target
            && Real(target.FullName).StartsWith(Real(dataRoot) + Path.DirectorySeparatorChar, StringComparison.Ordinal));

    /// <summary>The path without links, in any of its folders.</summary>
    private static string Real(string path)
    {
        var real = "/";
        foreach (var part in Path.GetFullPath(path).Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            real = Path.Combine(real, part);
            real = Directory.ResolveLinkTarget(real, returnFinalTarget: true) is { } target ? Real(target.FullName) : real;
        }

        return real;
    }
}
