using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// WebDataset's layout: <c>train-*.tar</c>, <c>val-*.tar</c> and, perhaps, <c>test-*.tar</c>, in which a picture <c>KEY.jpg</c> and its
/// class <c>KEY.cls</c> lie together.
/// </summary>
/// <remarks>
/// The shards' directories are read once; pictures are read from their place when asked for. Nothing is ever unpacked, so that an entry's
/// path is no more than a name.
/// </remarks>
public sealed class TarShards : EncodedPart
{
    private const string Ending = ".tar";

    private const string Convention =
        "a sample is a picture KEY.jpg, KEY.jpeg or KEY.png and its class KEY.cls, and a key ends at the first dot of a file's name";

    private static readonly string[] PartNames = ["train", "val", "test"];
    private static readonly string[] PackedEndings =
    [
        ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4", ".tar.lz", ".tar.lzma",
        ".tar.z", ".zip", ".7z",
    ];

    private readonly string[] shards;
    private readonly TarSample[] samples;

    private TarShards(string[] shards, Decoding decoding, TarSample[] samples)
        : base(decoding)
    {
        this.shards = shards;
        this.samples = samples;
    }

    public override int Count => samples.Length;

    public override int Label(int sample) => samples[sample].Class;

    public override SampleIdentity Identity(int sample)
    {
        var (shard, offset, bytes, _) = samples[sample];
        return new SampleIdentity($"{Path.GetFileName(shards[shard])}/{offset}", bytes);
    }

    /// <summary>Whether a folder of the data root has this layout.</summary>
    /// <exception cref="DataSetException">It seems to, but a job could not read it; the message says why.</exception>
    public static bool IsIn(string dataRoot, string name)
    {
        var folder = DataFolder.Open(dataRoot, name);
        var shards = Shards(dataRoot, folder, new DataNotes());
        return (shards["train"].Length, shards["val"].Length) switch
        {
            ( > 0, > 0) => true,
            (0, 0) => false,
            _ => throw Incomplete(folder),
        };
    }

    /// <summary>Training, validation and test parts.</summary>
    /// <param name="dataRoot">Of the node.</param>
    /// <param name="name">A folder there.</param>
    /// <param name="classes">That the job says there are.</param>
    /// <param name="decoding">Of the pictures.</param>
    /// <param name="notes">Is told what is passed over.</param>
    /// <exception cref="DataSetException">Missing or damaged.</exception>
    public static (ImagePart Train, ImagePart Validation, ImagePart Test) Open(
        string dataRoot, string name, int classes, Decoding decoding, DataNotes? notes = null)
    {
        notes ??= new DataNotes();
        var folder = DataFolder.Open(dataRoot, name);
        var shards = Shards(dataRoot, folder, notes);
        if (shards["train"].Length == 0 || shards["val"].Length == 0)
            throw Incomplete(folder);
        return (Part("train"), Part("val"), shards["test"].Length > 0 ? Part("test") : new TarShards([], decoding, []));

        TarShards Part(string part) => Read(
            shards[part] is [var only] ? only : $"{folder}/{part}-*.tar", shards[part], classes, decoding, mayLackLabels: part == "test",
            notes);
    }

    protected override string Name(int sample) => $"{shards[samples[sample].Shard]}, the picture at byte {samples[sample].Offset},";

    protected override Memory<byte> Read(int sample, PictureBuffers buffers)
    {
        var (shard, offset, bytes, _) = samples[sample];
        return ReadFrom(shards[shard], offset, bytes, buffers);
    }

    private static DataSetException Incomplete(string folder) =>
        new($"{folder} has no train-*.tar and val-*.tar; put shards of pairs such as 000000.jpg and 000000.cls there");

    /// <summary>Each part's, in ordinal order.</summary>
    private static Dictionary<string, string[]> Shards(string dataRoot, string folder, DataNotes notes)
    {
        var entries = FolderListing.Read(dataRoot, folder).Where(entry => !entry.IsFolder).ToList();
        var shards = entries.Where(entry => entry.Name.EndsWith(Ending, StringComparison.Ordinal) && PartOf(entry.Name) is not null)
            .ToList();
        if (shards.FindIndex(shard => shard.Fault is not null) is var faulty and >= 0)
            throw new DataSetException($"{folder}/{FileNames.Shown(shards[faulty].Name)} {shards[faulty].Fault}");
        var passedOver = new PassedOver();
        foreach (var other in entries.Except(shards).Where(entry => IsArchive(entry.Name)))
        {
            var isUnpacked = shards.Exists(shard => other.Name.StartsWith(shard.Name, StringComparison.Ordinal));
            if (IsPacked(other.Name) && PartOf(other.Name) is { } part && !isUnpacked)
            {
                throw new DataSetException(
                    $"{folder}/{FileNames.Shown(other.Name)} is compressed, and pictures are read from their places in plain tar files; "
                        + $"unpack it to {part}-*.tar, or remove it");
            }

            passedOver.Add(other);
        }

        if (passedOver.Count > 0)
            notes.Add($"{folder}: {passedOver} passed over, such as {passedOver.Example}; shards are called train-*.tar, "
                + "val-*.tar and test-*.tar");
        return PartNames.ToDictionary(
            part => part,
            part => shards.Where(shard => PartOf(shard.Name) == part).Select(shard => Path.Combine(folder, shard.Name)).ToArray());
    }

    private static string? PartOf(string file) => PartNames.FirstOrDefault(part => file.StartsWith($"{part}-", StringComparison.Ordinal));

    private static bool IsArchive(string file) => file.Contains(Ending, StringComparison.OrdinalIgnoreCase) || IsPacked(file);

    private static bool IsPacked(string file) => PackedEndings.Any(ending => file.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

    private static TarShards Read(string part, string[] paths, int classes, Decoding decoding, bool mayLackLabels, DataNotes notes)
    {
        var shards = new List<TarShard>();
        foreach (var path in paths)
        {
            var shard = TarShard.Read(path, classes);
            notes.See(shard.Entries);
            shards.Add(shard);
            if (!shard.HasEnd)
                notes.Add($"{path} has no end mark; if it was cut short it lacks samples");
            else if (shard.Pictures == 0)
                notes.Add($"{path} has no pictures");
        }

        if (mayLackLabels && shards.TrueForAll(shard => shard.Labels == 0) && shards.Exists(shard => shard.Pictures > 0))
        {
            notes.Add($"{part} has pictures without classes (KEY.cls), so there are no test figures");
            return new TarShards([], decoding, []);
        }

        var (samples, lost, unused) = (new List<TarSample>(), new PassedOver(), new PassedOver());
        for (var i = 0; i < shards.Count; i++)
            samples.AddRange(shards[i].Pair(lost, unused).Select(sample => new TarSample(i, sample.Offset, sample.Bytes, sample.Class)));
        if (samples.Count == 0)
            throw new DataSetException(
                $"{part} has no samples{(lost.Count > 0 ? $": {lost} passed over, such as {lost.Example}" : "")}; {Convention}");
        TellPassedOver(part, samples, classes, lost, unused, notes);
        return new TarShards(paths, decoding, Mixed(samples));
    }

    private static void TellPassedOver(
        string part, List<TarSample> samples, int classes, PassedOver lost, PassedOver unused, DataNotes notes)
    {
        if (lost.Count > 0)
            notes.Add($"{part}: {lost} passed over, such as {lost.Example}, since no sample has their key; {Convention}");
        if (unused.Count > 0)
            notes.Add($"{part}: {unused} beside samples not used, such as {unused.Example}");
        var seen = samples.Select(sample => sample.Class).ToHashSet();
        if (seen.Count == classes)
            return;
        var absent = $"{part} has no sample of {classes - seen.Count} of {classes} classes, "
            + $"such as {Enumerable.Range(0, classes).First(label => !seen.Contains(label))}";
        if (lost.HasAny(TarShard.ReadEndings))
            throw new DataSetException($"{absent}, but {lost} passed over, such as {lost.Example}; {Convention}");
        notes.Add(absent);
    }

    /// <param name="Shard">Index of the file.</param>
    /// <param name="Offset">Where the picture begins in it.</param>
    private readonly record struct TarSample(int Shard, long Offset, long Bytes, int Class);
}
