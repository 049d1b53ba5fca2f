using Cluster.Worker.Data.Indexing;

namespace Cluster.Worker.Data.Formats;

/// <summary>What a shard holds, as far as training needs it.</summary>
/// <param name="Path">The shard.</param>
internal sealed record ShardContents(string Path)
{
    /// <summary>None where there is a <see cref="Fault"/>.</summary>
    public IReadOnlyList<ShardSample> Samples { get; init; } = [];

    public required int Pictures { get; init; }

    public required int Labels { get; init; }

    public required int Entries { get; init; }

    /// <summary>-1 where there are no labels.</summary>
    public required int MaxClass { get; init; }

    public required bool HasEnd { get; init; }

    /// <summary>A picture has no class, a class no picture, or one of them is there twice: no matter where classes are not
    /// wanted.</summary>
    public string? Fault { get; init; }

    /// <summary>What belongs to no sample.</summary>
    public PassedOver Lost { get; private init; } = new();

    /// <summary>What stands beside samples.</summary>
    public PassedOver Unused { get; private init; } = new();

    /// <exception cref="DataSetException">It is damaged or compressed, or a class is no number that the job has.</exception>
    public static ShardContents Read(string path, int classes, DataIndex? index) => index is null
        ? TarShard.Read(path, classes)
        // A class that the job has not is refused in the words of who reads it.
        : index.Get(
            path, () => TarShard.Read(path, classes), Write,
            record => Decode(path, record) is var known && known.MaxClass < classes ? known : null);

    private static void Write(BinaryWriter writer, ShardContents shard)
    {
        writer.Write(shard.Pictures);
        writer.Write(shard.Labels);
        writer.Write(shard.Entries);
        writer.Write(shard.MaxClass);
        writer.Write(shard.HasEnd);
        writer.Write(shard.Fault is not null);
        if (shard.Fault is not null)
            writer.Write(shard.Fault);
        shard.Lost.Write(writer);
        shard.Unused.Write(writer);
        writer.Write(shard.Samples.Count);
        foreach (var (offset, bytes, label) in shard.Samples)
        {
            writer.Write7BitEncodedInt64(offset);
            writer.Write7BitEncodedInt64(bytes);
            writer.Write7BitEncodedInt(label);
        }
    }

    private static ShardContents Decode(string path, BinaryReader reader)
    {
        var contents = new ShardContents(path)
        {
            Pictures = reader.ReadInt32(),
            Labels = reader.ReadInt32(),
            Entries = reader.ReadInt32(),
            MaxClass = reader.ReadInt32(),
            HasEnd = reader.ReadBoolean(),
            Fault = reader.ReadBoolean() ? reader.ReadString() : null,
            Lost = PassedOver.Read(reader),
            Unused = PassedOver.Read(reader),
        };
        var samples = new List<ShardSample>();
        for (var count = reader.ReadInt32(); count > 0; count--)
            samples.Add(new ShardSample(reader.Read7BitEncodedInt64(), reader.Read7BitEncodedInt64(), reader.Read7BitEncodedInt()));
        return contents with { Samples = samples };
    }
}

/// <param name="Offset">Where the picture begins in the shard.</param>
internal readonly record struct ShardSample(long Offset, long Bytes, int Class);
