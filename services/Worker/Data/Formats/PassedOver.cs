namespace Cluster.Worker.Data.Formats;

/// <summary>Counts what is not read, by ending, to tell people.</summary>
internal sealed class PassedOver
{
    private const int EndingsTold = 5;

    private readonly SortedDictionary<string, int> _endings = new(StringComparer.Ordinal);
    private int _files;
    private int _folders;

    public int Count => _files + _folders;

    /// <summary>The first one; empty before.</summary>
    public string Example { get; private set; } = "";

    public void Add(FolderEntry entry)
    {
        if (Count == 0)
            Example = FileNames.Shown(entry.Name);
        if (entry.IsFolder)
            _folders++;
        else
            AddFile(entry.Name);
    }

    public void Add(string name)
    {
        if (Count == 0)
            Example = FileNames.Shown(name);
        AddFile(name);
    }

    /// <summary>What was passed over after that.</summary>
    public void Add(PassedOver next)
    {
        if (Count == 0)
            Example = next.Example;
        (_files, _folders) = (_files + next._files, _folders + next._folders);
        foreach (var (ending, count) in next._endings)
            _endings[ending] = _endings.GetValueOrDefault(ending) + count;
    }

    public void Write(BinaryWriter writer)
    {
        writer.Write(Example);
        writer.Write(_folders);
        writer.Write(_endings.Count);
        foreach (var (ending, count) in _endings)
        {
            writer.Write(ending);
            writer.Write(count);
        }
    }

    public static PassedOver Read(BinaryReader reader)
    {
        var read = new PassedOver { Example = reader.ReadString(), _folders = reader.ReadInt32() };
        for (var count = reader.ReadInt32(); count > 0; count--)
            read._endings[reader.ReadString()] = reader.ReadInt32();
        read._files = read._endings.Values.Sum();
        return read;
    }

    public bool HasAny(IEnumerable<string> ofEndings) => ofEndings.Any(_endings.ContainsKey);

    /// <summary>"3 files (.webp 2, .txt 1) and 1 folder".</summary>
    public override string ToString() => (_files, _folders) switch
    {
        (0, _) => Counted(_folders, "folder"),
        (_, 0) => $"{Counted(_files, "file")} ({Endings()})",
        _ => $"{Counted(_files, "file")} ({Endings()}) and {Counted(_folders, "folder")}",
    };

    private void AddFile(string name)
    {
        _files++;
        var ending = FileNames.Shown(Path.GetExtension(name).ToLowerInvariant());
        _endings[ending] = _endings.GetValueOrDefault(ending) + 1;
    }

    private string Endings()
    {
        var told = _endings.OrderByDescending(pair => pair.Value).Take(EndingsTold)
            .Select(pair => $"{(pair.Key.Length > 0 ? pair.Key : "no ending")} {pair.Value}");
        return string.Join(", ", _endings.Count > EndingsTold ? told.Append("…") : told);
    }

    private static string Counted(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";
}
