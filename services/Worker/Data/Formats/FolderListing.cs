namespace Cluster.Worker.Data.Formats;

/// <summary>An entry of a folder, links followed.</summary>
/// <param name="Name">Escaped where it is not UTF-8.</param>
/// <param name="Kind">Still a link where it leads nowhere.</param>
/// <param name="Fault">Why it can be neither read nor entered, in words that follow its name; null where nothing is known against
/// it.</param>
/// <param name="LeadsOut">Whether that is because it is a link out of the data root: a job may read what the node offers and nothing
/// else.</param>
internal readonly record struct FolderEntry(string Name, FileKind Kind, string? Fault, bool LeadsOut = false)
{
    public bool IsFolder => Kind == FileKind.Folder;
}

/// <summary>What a folder of the data root holds.</summary>
/// <remarks>
/// By the C library: .NET decodes names with loss, throws at a link that goes in a circle, and takes a FIFO for a file, which it then waits
/// for.
/// </remarks>
internal static class FolderListing
{
    /// <summary>In ordinal order, without what systems and archivers leave (<see cref="FileNames.IsLeftover"/>).</summary>
    /// <exception cref="DataSetException">The folder cannot be listed.</exception>
    public static List<FolderEntry> Read(string dataRoot, string folder)
    {
        var listed = FileCalls.List(folder, out var error);
        if (error != 0)
        {
            var fault = $"{folder} cannot be listed: {FileCalls.Words(error)}";
            throw error is FileCalls.NotFound or FileCalls.NoAccess or FileCalls.NotPermitted or FileCalls.NoFolder or FileCalls.Circular
                ? new DataSetException($"{fault}; it must be a folder that the agent's user may read and enter")
                : new DataUnavailableException(fault);
        }

        var entries = new List<FolderEntry>(listed.Count);
        foreach (var (bytes, kind) in listed)
        {
            var isText = FileNames.TryDecode(bytes, out var name);
            if (FileNames.IsLeftover(name))
                continue;
            entries.Add(isText
                ? Follow(dataRoot, folder, name, kind)
                : new FolderEntry(name, kind, "has a name that is not UTF-8; rename it"));
        }

        entries.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return entries;
    }

    private static FolderEntry Follow(string dataRoot, string folder, string name, FileKind kind)
    {
        if (kind is FileKind.Link or FileKind.Unknown)
        {
            var path = Path.Combine(folder, name);
            (kind, _) = FileCalls.Stat(path, out var error);
            if (error != 0)
                return new FolderEntry(name, FileKind.Link, DataFolder.WhyLost(path, error));
            if (!DataFolder.IsWithin(dataRoot, path))
                return new FolderEntry(name, kind, DataFolder.WhyRefused(dataRoot), LeadsOut: true);
        }

        return new FolderEntry(name, kind, kind is FileKind.File or FileKind.Folder ? null : WhyNoFile(kind));
    }

    public static string WhyNoFile(FileKind kind) => kind switch
    {
        FileKind.Folder => "is a folder, not a file",
        FileKind.Fifo => "is a FIFO, not a file",
        FileKind.Socket => "is a socket, not a file",
        _ => "is a device, not a file",
    };
}
