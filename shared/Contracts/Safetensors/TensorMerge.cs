using System.Buffers.Binary;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Safetensors;

/// <summary>Where every byte of a checkpoint's tensors goes in one safetensors file of whole tensors, whatever split wrote them.</summary>
/// <remarks>A plan only: whoever has the bytes copies them, in any order and with as little memory as a run takes.</remarks>
public sealed class TensorMerge
{
    private readonly Dictionary<string, List<Run>> _runs;

    private TensorMerge(byte[] header, long bytes, Dictionary<string, List<Run>> runs, IReadOnlyList<(long, byte[])> constants) =>
        (Header, Bytes, _runs, Constants) = (header, bytes, runs, constants);

    /// <summary>The file's beginning.</summary>
    public byte[] Header { get; }

    /// <summary>Of the whole file.</summary>
    public long Bytes { get; }

    /// <summary>
    /// Tensors that no file of the checkpoint holds: PyTorch's strict loading asks for batch normalisation's count of batches.
    /// </summary>
    public IReadOnlyList<(long Target, byte[] Content)> Constants { get; }

    /// <param name="manifest">The checkpoint's.</param>
    /// <param name="headers">Of the files to merge, by name.</param>
    /// <exception cref="InvalidDataException">The shards of a tensor do not make a whole, or a header says otherwise than the
    /// manifest.</exception>
    public static TensorMerge Plan(CheckpointManifest manifest, IReadOnlyDictionary<string, IReadOnlyList<SafetensorsEntry>> headers)
    {
        var entries = headers.SelectMany(file => file.Value, (file, entry) => (Key: (file.Key, entry.Name), Entry: entry))
            .ToDictionary(pair => pair.Key, pair => pair.Entry);
        var tensors = manifest.Tensors.Where(shard => headers.ContainsKey(shard.File)).GroupBy(shard => shard.Name)
            .Select(shards =>
                Whole(shards.Key, [.. shards.DistinctBy(shard => string.Join(' ', shard.Offset.Concat(shard.Shape)))], entries)).ToList();
        var counts = tensors.Where(tensor => tensor.Name.EndsWith(".running_var", StringComparison.Ordinal))
            .Select(tensor => tensor.Name[..^"running_var".Length] + "num_batches_tracked").Except(tensors.Select(tensor => tensor.Name));
        var all = SafetensorsWriter.DataOrder(
            tensors.Concat(counts.Select(name => new WholeTensor(name, "I64", [], []))), tensor => tensor.DType,
            tensor => tensor.Name).ToList();

        var header = SafetensorsWriter.Header([.. all.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape))]);
        var runs = headers.Keys.ToDictionary(file => file, _ => new List<Run>());
        var constants = new List<(long, byte[])>();
        long begin = header.Length;
        foreach (var tensor in all)
        {
            foreach (var (shard, entry) in tensor.Shards)
                runs[shard.File].AddRange(Runs(tensor, shard, entry, begin));
            if (tensor.Shards.Count == 0)
                constants.Add((begin, Count(manifest.Step)));
            begin += SafetensorsFormat.TensorBytes(tensor.DType, tensor.Shape);
        }

        foreach (var ofFile in runs.Values)
            ofFile.Sort(static (a, b) => a.Source.CompareTo(b.Source));
        return new TensorMerge(header, begin, runs, constants);
    }

    /// <summary>
    /// What to copy from a file, in the order of its bytes. Sources count from the end of its header, targets from the merged file's first
    /// byte.
    /// </summary>
    public IReadOnlyList<Run> RunsOf(string file) => _runs[file];

    private static WholeTensor Whole(
        string name, IReadOnlyList<TensorShard> shards, Dictionary<(string File, string Name), SafetensorsEntry> entries)
    {
        var shape = shards[0].GlobalShape.ToArray();
        var placed = new List<(TensorShard, SafetensorsEntry)>();
        var elements = 0L;
        foreach (var shard in shards)
        {
            if (!entries.TryGetValue((shard.File, name), out var entry) || !entry.Shape.SequenceEqual(shard.Shape)
                || !Shapes.Contains(shape, shard.Offset, shard.Shape))
                throw new InvalidDataException($"the checkpoint's {shard.File} does not hold {name} as its manifest says");
            placed.Add((shard, entry));
            elements += shard.Shape.Aggregate(1L, (product, size) => product * size);
        }

        var dtype = placed[0].Item2.DType;
        return elements * SafetensorsFormat.ElementBytes(dtype) == SafetensorsFormat.TensorBytes(dtype, shape)
            && placed.TrueForAll(part => part.Item2.DType == dtype)
            ? new WholeTensor(name, dtype, shape, placed)
            : throw new InvalidDataException($"the checkpoint's shards of {name} do not make a whole {dtype} {Shapes.Text(shape)}");
    }

    private static IEnumerable<Run> Runs(WholeTensor tensor, TensorShard shard, SafetensorsEntry entry, long begin)
    {
        var elementBytes = SafetensorsFormat.ElementBytes(tensor.DType);
        return Shapes.SharedRuns(shard.Offset, shard.Shape, new long[tensor.Shape.Length], tensor.Shape)
            .Select(
                run => new Run(entry.Begin + (run.Source * elementBytes), begin + (run.Target * elementBytes), run.Count * elementBytes));
    }

    private static byte[] Count(long batches)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, batches);
        return bytes;
    }

    /// <summary>Bytes that lie together in a file and in the merged one.</summary>
    public readonly record struct Run(long Source, long Target, long Bytes);

    private sealed record WholeTensor(
        string Name, string DType, long[] Shape, IReadOnlyList<(TensorShard Shard, SafetensorsEntry Entry)> Shards);
}
