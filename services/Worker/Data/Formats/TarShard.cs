using System.Formats.Tar;
using System.Globalization;
using System.Text;

namespace Cluster.Worker.Data.Formats;

/// <summary>Reads one shard's directory: which entries are pictures, which their classes, and which are neither.</summary>
/// <remarks>
/// WebDataset's convention: an entry's key ends at the first dot of the last name in its path, and what follows that dot is its kind.
/// https://github.com/webdataset/webdataset
/// </remarks>
internal sealed class TarShard(string path, int classes)
{
    private static readonly string[] PictureExtensions = ["jpg", "jpeg", "png"];

    /// <summary>What a sample is made of.</summary>
    public static readonly IReadOnlyList<string> ReadEndings = [".cls", .. PictureExtensions.Select(extension => $".{extension}")];

    private readonly Dictionary<string, int> _classOf = new(StringComparer.Ordinal);
    private readonly List<(string Name, string Key)> _others = [];
    private readonly List<(string Key, long Offset, long Bytes)> _pictures = [];

    /// <exception cref="DataSetException">It is damaged or compressed, or a class is no number that the job has.</exception>
    public static ShardContents Read(string path, int classes)
    {
        var shard = new TarShard(path, classes);
        try
        {
            using var file = DataFolder.OpenFile(path);
            var hasEnd = TarDirectory.Read(file, shard.Add);
            return shard.Contents(hasEnd);
        }
        // What the reader throws at damage depends on the field that is hit.
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException or ArgumentException
                or OverflowException or NotSupportedException or InvalidOperationException)
        {
            throw DataFolder.Unreadable(path, e, "cannot be read as a tar file");
        }
    }

    private ShardContents Contents(bool hasEnd)
    {
        var contents = new ShardContents(path)
        {
            HasEnd = hasEnd,
            Pictures = _pictures.Count,
            Labels = _classOf.Count,
            Entries = _pictures.Count + _classOf.Count + _others.Count,
            MaxClass = _classOf.Values.DefaultIfEmpty(-1).Max(),
        };
        var (samples, keys) = (new List<ShardSample>(_pictures.Count), new HashSet<string>(StringComparer.Ordinal));
        foreach (var (key, offset, bytes) in _pictures)
        {
            if (!_classOf.TryGetValue(key, out var label) || !keys.Add(key))
            {
                var name = FileNames.Shown(key);
                return contents with { Fault = $"{path} has a picture {name} without {name}.cls, or two of that name{Beside(key)}" };
            }

            samples.Add(new ShardSample(offset, bytes, label));
        }

        if (_classOf.Keys.FirstOrDefault(key => !keys.Contains(key)) is { } alone)
            return contents with { Fault = $"{path} has {FileNames.Shown(alone)}.cls without a picture{Beside(alone)}" };
        foreach (var (name, key) in _others)
            (keys.Contains(key) ? contents.Unused : contents.Lost).Add(name);
        return contents with { Samples = samples };
    }

    private void Add(TarEntry entry)
    {
        if (entry.EntryType is TarEntryType.Directory or TarEntryType.DirectoryList or TarEntryType.GlobalExtendedAttributes
            || IsLeftover(entry.Name))
            return;
        var (key, extension) = Split(entry.Name);
        if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile))
            _others.Add(($"{entry.Name} ({entry.EntryType})", key));
        else if (extension == "cls")
            AddClass(key, entry);
        else if (PictureExtensions.Contains(extension))
            _pictures.Add((key, entry.DataOffset, entry.Length));
        else
            _others.Add((entry.Name, key));
    }

    private void AddClass(string key, TarEntry entry)
    {
        if (!_classOf.TryAdd(key, ReadClass(entry)))
            throw new DataSetException($"{path} has {FileNames.Shown(key)}.cls twice");
    }

    private static bool IsLeftover(string name) =>
        name.Split('/', StringSplitOptions.RemoveEmptyEntries).Any(part => part is not ("." or "..") && FileNames.IsLeftover(part));

    private string Beside(string key) =>
        _others.Find(other => other.Key == key) is { Name: { } name } ? $"; beside it is {FileNames.Shown(name)}, which is not read" : "";

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
