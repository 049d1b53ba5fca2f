using Cluster.Worker.Data.Indexing;

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

/// <summary>What folders of the data root hold.</summary>
/// <param name="dataRoot">Of the node.</param>
/// <param name="index">By which to read names that have been read before.</param>
/// <remarks>
/// By the C library: .NET decodes names with loss, throws at a link that goes in a circle, and takes a FIFO for a file, which it then waits
/// for.
/// </remarks>
internal sealed class FolderListing(string dataRoot, DataIndex? index = null)
{
    /// <summary>In ordinal order, without what systems and archivers leave (<see cref="FileNames.IsLeftover"/>).</summary>
    /// <exception cref="DataSetException">The folder cannot be listed.</exception>
    public List<FolderEntry> Read(string folder)
    {
        var names = index is null ? Names(folder) : index.Get(folder, () => Names(folder), Write, Decode);
        // Where a link leads can change without a trace in its folder.
        return names.ConvertAll(entry => entry.IsText
            ? Follow(folder, entry.Name, entry.Kind)
            : new FolderEntry(entry.Name, entry.Kind, "has a name that is not UTF-8; rename it"));
    }

    private static List<ListedName> Names(string folder)
    {
        var listed = FileCalls.List(folder, out var error);
        if (error != 0)
        {
            var fault = $"{folder} cannot be listed: {FileCalls.Words(error)}";
            throw error is FileCalls.NotFound or FileCalls.NoAccess or FileCalls.NotPermitted or FileCalls.NoFolder or FileCalls.Circular
                ? new DataSetException($"{fault}; it must be a folder that the agent's user may read and enter")
                : new DataUnavailableException(fault);
        }

        var names = new List<ListedName>(listed.Count);
        foreach (var (bytes, kind) in listed)
        {
            var isText = FileNames.TryDecode(bytes, out var name);
            if (!FileNames.IsLeftover(name))
                names.Add(new ListedName(name, kind, isText));
        }

        names.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return names;
    }

    private static void Write(BinaryWriter writer, List<ListedName> names)
    {
        writer.Write(names.Count);
        foreach (var (name, kind, isText) in names)
        {
            writer.Write((byte)kind);
            writer.Write(isText);
            writer.Write(name);
        }
    }

    private static List<ListedName> Decode(BinaryReader reader)
    {
        var names = new List<ListedName>();
        for (var count = reader.ReadInt32(); count > 0; count--)
        {
            var (kind, isText) = ((FileKind)reader.ReadByte(), reader.ReadBoolean());
            names.Add(new ListedName(reader.ReadString(), kind, isText));
        }

        return names;
    }

    private FolderEntry Follow(string folder, string name, FileKind kind)
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

    /// <summary>An entry as its folder has it: a link is one.</summary>
    private readonly record struct ListedName(string Name, FileKind Kind, bool IsText);
}
