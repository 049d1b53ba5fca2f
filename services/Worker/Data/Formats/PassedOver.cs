namespace Cluster.Worker.Data.Formats;

/// <summary>Counts what is not read, by ending, to tell people.</summary>
internal sealed class PassedOver
{
    private const int EndingsTold = 5;

    private readonly SortedDictionary<string, int> endings = new(StringComparer.Ordinal);
    private int files;
    private int folders;

    public int Count => files + folders;

    /// <summary>The first one; empty before.</summary>
    public string Example { get; private set; } = "";

    public void Add(FolderEntry entry)
    {
        if (Count == 0)
            Example = FileNames.Shown(entry.Name);
        if (entry.IsFolder)
            folders++;
        else
            AddFile(entry.Name);
    }

    public void Add(string name)
    {
        if (Count == 0)
            Example = FileNames.Shown(name);
        AddFile(name);
    }

    public bool HasAny(IEnumerable<string> ofEndings) => ofEndings.Any(endings.ContainsKey);

    /// <summary>"3 files (.webp 2, .txt 1) and 1 folder".</summary>
    public override string ToString() => (files, folders) switch
    {
        (0, _) => Counted(folders, "folder"),
        (_, 0) => $"{Counted(files, "file")} ({Endings()})",
        _ => $"{Counted(files, "file")} ({Endings()}) and {Counted(folders, "folder")}",
    };

    private void AddFile(string name)
    {
        files++;
        var ending = FileNames.Shown(Path.GetExtension(name).ToLowerInvariant());
        endings[ending] = endings.GetValueOrDefault(ending) + 1;
    }

    private string Endings()
    {
        var told = endings.OrderByDescending(pair => pair.Value).Take(EndingsTold)
            .Select(pair => $"{(pair.Key.Length > 0 ? pair.Key : "no ending")} {pair.Value}");
        return string.Join(", ", endings.Count > EndingsTold ? told.Append("…") : told);
    }

    private static string Counted(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";
}
