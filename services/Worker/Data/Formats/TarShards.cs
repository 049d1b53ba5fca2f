using System.Formats.Tar;
using System.Globalization;
using System.Text;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>WebDataset's layout: <c>train-*.tar</c>, <c>val-*.tar</c> and, perhaps, <c>test-*.tar</c>, in which a picture <c>KEY.jpg</c> and its class
/// <c>KEY.cls</c> lie together.</summary>
/// <remarks>https://github.com/webdataset/webdataset. The shards' directories are read once; pictures are read from their place when asked for. Nothing is
/// ever unpacked, so that an entry's path is no more than a name.</remarks>
public sealed class TarShards : EncodedPart
{
    private static readonly string[] PictureExtensions = ["jpg", "jpeg", "png"];

    // A folder in the data root that the agent may not enter holds no shards for it.
    private static readonly EnumerationOptions Readable = new() { IgnoreInaccessible = true, AttributesToSkip = FileAttributes.None };

    private readonly string[] shards;
    private readonly TarSample[] samples;

    private TarShards(string[] shards, int channels, TarSample[] samples)
        : base(channels)
    {
        this.shards = shards;
        this.samples = samples;
    }

    public override int Count => samples.Length;

    public override int Label(int sample) => samples[sample].Class;

    public static bool IsIn(string folder) => Shards(folder, "train").Length > 0 && Shards(folder, "val").Length > 0;

    /// <summary>Training, validation and test parts.</summary>
    /// <param name="dataRoot">Of the node.</param>
    /// <param name="name">A folder there.</param>
    /// <param name="classes">That the job says there are.</param>
    /// <param name="channels">1 or 3.</param>
    /// <exception cref="DataSetException">Missing or damaged.</exception>
    public static (ImagePart Train, ImagePart Validation, ImagePart Test) Open(string dataRoot, string name, int classes, int channels)
    {
        var folder = DataFolder.Open(dataRoot, name);
        if (!IsIn(folder))
            throw new DataSetException($"{folder} has no train-*.tar and val-*.tar; put shards of pairs such as 000000.jpg and 000000.cls there");
        return (Part("train"), Part("val"), Part("test"));

        TarShards Part(string part)
        {
            var shards = Shards(folder, part);
            Array.ForEach(shards, shard => DataFolder.RequireWithin(dataRoot, new FileInfo(shard)));
            return new TarShards(shards, channels, Mixed(shards.SelectMany((shard, i) => ReadDirectory(shard, i, classes)).ToList()));
        }
    }

    protected override string Name(int sample) => $"{shards[samples[sample].Shard]}, the picture at byte {samples[sample].Offset},";

    protected override Memory<byte> Read(int sample, PictureBuffers buffers)
    {
        var (shard, offset, bytes, _) = samples[sample];
        return ReadFrom(shards[shard], offset, bytes, buffers);
    }

    private static string[] Shards(string folder, string part) =>
        [.. Directory.EnumerateFiles(folder, $"{part}-*.tar", Readable).Order(StringComparer.Ordinal)];

    private static List<TarSample> ReadDirectory(string path, int shard, int classes)
    {
        try
        {
            using var file = File.OpenRead(path);
            using var tar = new TarReader(file);
            var entries = new List<(string Key, bool IsClass, long Offset, long Bytes, int Class)>();
            while (tar.GetNextEntry() is { } entry)
            {
                if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile))
                    continue;
                var (key, extension) = Split(entry.Name);
                if (extension == "cls")
                    entries.Add((key, true, 0, 0, ReadClass(entry, path, classes)));
                else if (PictureExtensions.Contains(extension))
                    entries.Add((key, false, entry.DataOffset, entry.Length, 0));
            }

            return Pair(path, shard, entries);
        }
        // What the reader throws at damage depends on the field that is hit.
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException or ArgumentException or OverflowException)
        {
            throw new DataSetException($"{path} cannot be read as a tar file: {e.Message}", e);
        }
    }

    private static List<TarSample> Pair(string path, int shard, List<(string Key, bool IsClass, long Offset, long Bytes, int Class)> entries)
    {
        var classOf = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in entries.Where(entry => entry.IsClass))
        {
            if (!classOf.TryAdd(entry.Key, entry.Class))
                throw new DataSetException($"{path} has {entry.Key}.cls twice");
        }

        var samples = new List<TarSample>();
        foreach (var entry in entries.Where(entry => !entry.IsClass))
        {
            samples.Add(classOf.Remove(entry.Key, out var label)
                ? new TarSample(shard, entry.Offset, entry.Bytes, label)
                : throw new DataSetException($"{path} has a picture {entry.Key} without {entry.Key}.cls, or two of that name"));
        }

        return classOf.Count == 0 ? samples : throw new DataSetException($"{path} has {classOf.First().Key}.cls without a picture");
    }

    /// <summary>A key ends at the first dot of the last name in a path.</summary>
    private static (string Key, string Extension) Split(string name)
    {
        var dot = name.IndexOf('.', name.LastIndexOf('/') + 1);
        return dot < 0 ? (name, "") : (name[..dot], name[(dot + 1)..].ToLowerInvariant());
    }

    private static int ReadClass(TarEntry entry, string path, int classes)
    {
        const int MaxDigits = 16;
        var text = new byte[MaxDigits];
        var length = entry.Length <= MaxDigits && entry.DataStream is { } data ? data.ReadAtLeast(text, (int)entry.Length, throwOnEndOfStream: false) : 0;
        var written = Encoding.ASCII.GetString(text, 0, length).Trim();
        if (!int.TryParse(written, NumberStyles.None, CultureInfo.InvariantCulture, out var label) || label >= classes)
            throw new DataSetException($"{path}, {entry.Name}: class '{written}'; data.classes is {classes}, so it must be a number from 0 to {classes - 1}");
        return label;
    }

    /// <param name="Shard">Index of the file.</param>
    /// <param name="Offset">Where the picture begins in it.</param>
    private readonly record struct TarSample(int Shard, long Offset, long Bytes, int Class);
}
