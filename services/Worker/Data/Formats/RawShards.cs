using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// Decoded pictures, which cost no more than a read: <c>train-*.safetensors</c>, <c>val-*.safetensors</c> and, perhaps,
/// <c>test-*.safetensors</c>.
/// </summary>
/// <remarks>What is in a file: <see cref="RawShard"/>. Only labels and places are kept in memory.</remarks>
public sealed class RawShards : ImagePart
{
    public const string Ending = ".safetensors";

    /// <summary>Of a part: what is kept of it then takes 1 GiB.</summary>
    internal const int MaxPictures = 1 << 27;

    // Shards may come sorted by class, and a job may take the first so many pictures: they are mixed, always in the same way.
    private const ulong OrderSeed = 0x5241_5753;

    private static readonly string[] PartNames = ["train", "val", "test"];

    private readonly RawShard[] _shards;
    private readonly int[] _firsts; // of each shard, counted over all
    private readonly int[] _order;
    private readonly PictureMemory? _memory;

    private RawShards(RawShard[] shards, PictureMemory? memory)
    {
        (_shards, _memory, _firsts) = (shards, memory, new int[shards.Length]);
        var pictures = 0;
        for (var i = 0; i < shards.Length; i++)
        {
            _firsts[i] = pictures;
            pictures += shards[i].Labels.Length;
        }

        _order = EpochOrder.Shuffled(OrderSeed, epoch: 0, pictures);
    }

    public override int Count => _order.Length;

    public override int Label(int sample)
    {
        var (shard, picture) = Find(sample);
        return shard.Labels[picture];
    }

    public override SampleIdentity Identity(int sample)
    {
        var (shard, picture) = Find(sample);
        return new SampleIdentity($"{Path.GetFileName(shard.Path)}/{picture}", shard.PictureBytes);
    }

    public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
    {
        var (shard, picture) = Find(sample);
        buffers.BeginSample(_memory);
        buffers.Picture.Reshape(shard.Size, shard.Channels);
        try
        {
            shard.Read(picture, buffers.Picture.Values);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BrokenPictureException($"{shard.Path}, picture {picture}, {e.Message}", e);
        }
    }

    /// <summary>Whether a folder of the data root has this layout.</summary>
    /// <exception cref="DataSetException">It seems to, but a job could not read it; the message says why.</exception>
    public static bool IsIn(string dataRoot, string name)
    {
        var folder = DataFolder.Open(dataRoot, name);
        var files = Files(dataRoot, folder, new DataNotes());
        return (files["train"].Length, files["val"].Length) switch
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
    /// <param name="decoding">Channels that pictures must have, and what they may take.</param>
    /// <param name="notes">Is told what is passed over.</param>
    /// <exception cref="DataSetException">Missing or damaged.</exception>
    /// <exception cref="JobMisconfiguredException">The pictures are not as the job says.</exception>
    public static (ImagePart Train, ImagePart Validation, ImagePart Test) Open(
        string dataRoot, string name, int classes, Decoding decoding, DataNotes? notes = null)
    {
        notes ??= new DataNotes();
        var folder = DataFolder.Open(dataRoot, name);
        var files = Files(dataRoot, folder, notes);
        if (files["train"].Length == 0 || files["val"].Length == 0)
            throw Incomplete(folder);
        return (Part("train"), Part("val"), files["test"].Length > 0 ? Part("test") : new RawShards([], decoding.Memory));

        RawShards Part(string part) => Read($"{folder}/{part}-*{Ending}", files[part], classes, decoding, notes);
    }

    private static RawShards Read(string part, string[] paths, int classes, Decoding decoding, DataNotes notes)
    {
        var (shards, pictures) = (new List<RawShard>(), 0);
        foreach (var path in paths)
        {
            var shard = RawShard.Open(path, classes, MaxPictures - pictures);
            RequireFit(shard, decoding);
            shards.Add(shard);
            pictures += shard.Labels.Length;
            notes.See(shard.Labels.Length);
        }

        if (pictures == 0)
            throw new DataSetException($"{part} has no pictures");
        var seen = shards.SelectMany(shard => shard.Labels).ToHashSet();
        if (seen.Count < classes)
        {
            var absent = Enumerable.Range(0, classes).First(label => !seen.Contains(label));
            notes.Add($"{part} has no picture of {classes - seen.Count} of {classes} classes, such as {absent}");
        }

        return new RawShards([.. shards], decoding.Memory);
    }

    private static void RequireFit(RawShard shard, Decoding decoding)
    {
        if (shard.Channels != decoding.Channels)
        {
            throw new JobMisconfiguredException(
                $"data.channels is {decoding.Channels} but {shard.Path} has pictures of {shard.Channels}; make them equal");
        }

        if (shard.Size.Pixels > decoding.MaxPixels)
        {
            throw new JobMisconfiguredException(
                $"data.maxImagePixels is {decoding.MaxPixels} but {shard.Path} has pictures of {shard.Size.Width}×{shard.Size.Height}; "
                + "raise it or pack them smaller");
        }
    }

    private static DataSetException Incomplete(string folder) =>
        new($"{folder} has no train-*{Ending} and val-*{Ending}; make both from a folder of pictures with ./cluster data pack");

    /// <summary>Each part's, in ordinal order.</summary>
    private static Dictionary<string, string[]> Files(string dataRoot, string folder, DataNotes notes)
    {
        var files = new FolderListing(dataRoot).Read(folder)
            .Where(entry => !entry.IsFolder && entry.Name.EndsWith(Ending, StringComparison.Ordinal)).ToList();
        var shards = files.Where(entry => PartOf(entry.Name) is not null).ToList();
        if (shards.FindIndex(shard => shard.Fault is not null) is var faulty and >= 0)
            throw new DataSetException($"{folder}/{FileNames.Shown(shards[faulty].Name)} {shards[faulty].Fault}");
        var passedOver = new PassedOver();
        foreach (var other in files.Except(shards))
            passedOver.Add(other);
        if (passedOver.Count > 0 && shards.Count > 0)
        {
            notes.Add(
                $"{folder}: {passedOver} passed over, such as {passedOver.Example}; "
                + $"shards are called train-*{Ending}, val-*{Ending} and test-*{Ending}");
        }

        return PartNames.ToDictionary(
            part => part,
            part => shards.Where(shard => PartOf(shard.Name) == part).Select(shard => Path.Combine(folder, shard.Name)).ToArray());
    }

    private static string? PartOf(string file) => PartNames.FirstOrDefault(part => file.StartsWith($"{part}-", StringComparison.Ordinal));

    private (RawShard Shard, int Picture) Find(int sample)
    {
        var at = _order[sample];
        var found = Array.BinarySearch(_firsts, at);
        // Between two firsts: the complement of the next one. Of shards without pictures, which share a first, the last has them.
        var shard = found >= 0 ? found : ~found - 1;
        while (shard + 1 < _firsts.Length && _firsts[shard + 1] <= at)
            shard++;
        return (_shards[shard], at - _firsts[shard]);
    }
}
