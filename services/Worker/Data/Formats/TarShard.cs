using System.Formats.Tar;
using System.Globalization;
using System.Text;

namespace Cluster.Worker.Data.Formats;

/// <summary>One shard's directory: which entries are pictures, which their classes, and which are neither.</summary>
/// <remarks>
/// WebDataset's convention: an entry's key ends at the first dot of the last name in its path, and what follows that dot is its kind.
/// https://github.com/webdataset/webdataset
/// </remarks>
internal sealed class TarShard(string path, int classes)
{
    private static readonly string[] PictureExtensions = ["jpg", "jpeg", "png"];

    /// <summary>What a sample is made of.</summary>
    public static readonly IReadOnlyList<string> ReadEndings = [".cls", .. PictureExtensions.Select(extension => $".{extension}")];

    private readonly Dictionary<string, int> classOf = new(StringComparer.Ordinal);
    private readonly List<(string Name, string Key)> others = [];
    private readonly List<(string Key, long Offset, long Bytes)> pictures = [];

    public int Pictures => pictures.Count;

    public int Labels => classOf.Count;

    public int Entries => pictures.Count + classOf.Count + others.Count;

    public bool HasEnd { get; private set; }

    /// <exception cref="DataSetException">It is damaged or compressed, or a class is no number that the job has.</exception>
    public static TarShard Read(string path, int classes)
    {
        var shard = new TarShard(path, classes);
        try
        {
            using var file = DataFolder.OpenFile(path);
            shard.HasEnd = TarDirectory.Read(file, shard.Add);
            return shard;
        }
        // What the reader throws at damage depends on the field that is hit.
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException or ArgumentException
                or OverflowException or NotSupportedException)
        {
            throw DataFolder.Unreadable(path, e, "cannot be read as a tar file");
        }
    }

    /// <summary>Each picture with its class.</summary>
    /// <param name="lost">Gets what belongs to no sample.</param>
    /// <param name="unused">Gets what stands beside samples.</param>
    /// <exception cref="DataSetException">A picture has no class, a class no picture, or one of them is there twice.</exception>
    public IEnumerable<(string Key, long Offset, long Bytes, int Class)> Pair(PassedOver lost, PassedOver unused)
    {
        var keys = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, offset, bytes) in pictures)
        {
            if (!classOf.TryGetValue(key, out var label) || !keys.Add(key))
                throw new DataSetException(
                    $"{path} has a picture {FileNames.Shown(key)} without {FileNames.Shown(key)}.cls, or two of that name{Beside(key)}");
            yield return (key, offset, bytes, label);
        }

        if (classOf.Keys.FirstOrDefault(key => !keys.Contains(key)) is { } alone)
            throw new DataSetException($"{path} has {FileNames.Shown(alone)}.cls without a picture{Beside(alone)}");
        foreach (var (name, key) in others)
            (keys.Contains(key) ? unused : lost).Add(name);
    }

    private void Add(TarEntry entry)
    {
        if (entry.EntryType is TarEntryType.Directory or TarEntryType.DirectoryList or TarEntryType.GlobalExtendedAttributes
            || IsLeftover(entry.Name))
            return;
        var (key, extension) = Split(entry.Name);
        if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile))
            others.Add(($"{entry.Name} ({entry.EntryType})", key));
        else if (extension == "cls")
            AddClass(key, entry);
        else if (PictureExtensions.Contains(extension))
            pictures.Add((key, entry.DataOffset, entry.Length));
        else
            others.Add((entry.Name, key));
    }

    private void AddClass(string key, TarEntry entry)
    {
        if (!classOf.TryAdd(key, ReadClass(entry)))
            throw new DataSetException($"{path} has {FileNames.Shown(key)}.cls twice");
    }

    private static bool IsLeftover(string name) =>
        name.Split('/', StringSplitOptions.RemoveEmptyEntries).Any(part => part is not ("." or "..") && FileNames.IsLeftover(part));

    private string Beside(string key) =>
        others.Find(other => other.Key == key) is { Name: { } name } ? $"; beside it is {FileNames.Shown(name)}, which is not read" : "";

    private static (string Key, string Extension) Split(string name)
    {
        var dot = name.IndexOf('.', name.LastIndexOf('/') + 1);
        return dot < 0 ? (name, "") : (name[..dot], name[(dot + 1)..].ToLowerInvariant());
    }

    private int ReadClass(TarEntry entry)
    {
        const int MaxDigits = 16;
        var text = new byte[MaxDigits];
        var length = entry.Length <= MaxDigits && entry.DataStream is { } data
            ? data.ReadAtLeast(text, (int)entry.Length, throwOnEndOfStream: false)
            : 0;
        var written = Encoding.ASCII.GetString(text, 0, length).Trim();
        if (!int.TryParse(written, NumberStyles.None, CultureInfo.InvariantCulture, out var label) || label >= classes)
        {
            throw new DataSetException(
                $"{path}, {entry.Name}: class '{FileNames.Shown(written)}'; data.classes is {classes}, "
                    + $"so it must be a number from 0 to {classes - 1}");
        }

        return label;
    }
}
