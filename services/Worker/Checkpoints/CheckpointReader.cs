using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Checkpoints;

/// <summary>Reads a checkpoint: whole files, or any slice of a global tensor, however it was split when it was written.</summary>
/// <remarks>Reads only the chunks that a slice needs. For one caller at a time.</remarks>
public sealed class CheckpointReader : IWeights
{
    private readonly CheckpointFiles _files;
    private readonly ILookup<string, TensorShard> _shards;

    private CheckpointReader(CheckpointManifest manifest, CheckpointFiles files)
    {
        Manifest = manifest;
        _files = files;
        _shards = manifest.Tensors.ToLookup(shard => shard.Name);
    }

    public CheckpointManifest Manifest { get; }

    public static async Task<CheckpointReader> OpenAsync(ITrainerLink link, string checkpointId, CancellationToken cancellationToken)
    {
        var manifest = await link.GetCheckpointAsync(checkpointId, cancellationToken);
        return new CheckpointReader(manifest, new CheckpointFiles(link, checkpointId, manifest));
    }

    /// <inheritdoc/>
    public long BytesRead => _files.BytesRead;

    public bool HasTensor(string name) => _shards.Contains(name);

    /// <summary>The names of the network's own tensors, without the optimizer's.</summary>
    public IEnumerable<string> WeightNames =>
        Manifest.Tensors.Where(shard => CheckpointLayout.HoldsWeights(shard.File)).Select(shard => shard.Name).Distinct();

    /// <summary>The names of all global tensors.</summary>
    public IEnumerable<string> TensorNames => _shards.Select(shards => shards.Key);

    /// <summary>The whole tensor's shape.</summary>
    /// <exception cref="InvalidDataException">The checkpoint has no such tensor.</exception>
    public IReadOnlyList<long> GlobalShape(string name) => Shards(name)[0].GlobalShape;

    /// <summary>The elements' type, by safetensors' names: "F32".</summary>
    public async Task<string> DTypeAsync(string name, CancellationToken cancellationToken) =>
        (await _files.EntryAsync(Shards(name)[0].File, name, cancellationToken)).DType;

    /// <exception cref="InvalidDataException">The checkpoint has no such file.</exception>
    public Task<byte[]> ReadFileAsync(string name, CancellationToken cancellationToken) => _files.ReadAllAsync(name, cancellationToken);

    public bool HasFile(string name) => Manifest.Files.Any(file => file.Name == name);

    /// <summary>The whole tensor, row-major.</summary>
    public Task<byte[]> ReadTensorAsync(string name, CancellationToken cancellationToken)
    {
        var shape = GlobalShape(name);
        return ReadSliceAsync(name, new long[shape.Count], shape, cancellationToken);
    }

    /// <summary>
    /// The bytes of <c>tensor[offset[d] : offset[d] + shape[d]]</c> for every dim d, row-major, put together from whichever shards hold
    /// them.
    /// </summary>
    /// <exception cref="InvalidDataException">
    /// The checkpoint has no such tensor, the slice lies outside it, or the shards do not cover the slice.
    /// </exception>
    public async Task<byte[]> ReadSliceAsync(
        string name, IReadOnlyList<long> offset, IReadOnlyList<long> shape, CancellationToken cancellationToken)
    {
        var shards = Shards(name);
        if (!Shapes.Contains(shards[0].GlobalShape, offset, shape))
            throw new InvalidDataException($"the slice {Text(shape)} at {Text(offset)} lies outside {name} {Text(shards[0].GlobalShape)}");
        var dtype = await DTypeAsync(name, cancellationToken);
        var elementBytes = SafetensorsFormat.ElementBytes(dtype);
        var slice = new byte[SafetensorsFormat.TensorBytes(dtype, [.. shape])];
        // Shards may repeat a region (replicas of one tensor), so what counts is coverage, not the sum of copies.
        var covered = 0L;
        foreach (var shard in WithoutRepeats(shards))
        {
            var entry = await CheckedEntryAsync(shard, dtype, cancellationToken);
            var runs = Shapes.SharedRuns(shard.Offset, shard.Shape, offset, shape).ToList();
            if (runs.Count == 0)
                continue;
            var first = runs.Min(run => run.Source) * elementBytes;
            var last = runs.Max(run => run.Source + run.Count) * elementBytes;
            var bytes = await _files.ReadDataAsync(shard.File, entry.Begin + first, checked((int)(last - first)), cancellationToken);
            foreach (var (source, target, count) in runs)
            {
                bytes.AsSpan((int)(source * elementBytes - first), (int)(count * elementBytes))
                    .CopyTo(slice.AsSpan((int)(target * elementBytes)));
                covered += count * elementBytes;
            }
        }

        return covered == slice.Length
            ? slice
            : throw new InvalidDataException($"the checkpoint's shards of {name} hold {covered} of the {slice.Length} bytes of the slice "
                + $"{Text(shape)} at {Text(offset)}");
    }

    private static IEnumerable<TensorShard> WithoutRepeats(IEnumerable<TensorShard> shards) =>
        shards.DistinctBy(shard => (Text(shard.Offset), Text(shard.Shape)));

    private static string Text(IEnumerable<long> shape) => Shapes.Text([.. shape]);

    private async Task<SafetensorsEntry> CheckedEntryAsync(TensorShard shard, string dtype, CancellationToken cancellationToken)
    {
        var entry = await _files.EntryAsync(shard.File, shard.Name, cancellationToken);
        if (entry.DType != dtype || !entry.Shape.SequenceEqual(shard.Shape))
            throw new InvalidDataException(
                $"{shard.File} holds {shard.Name} as {entry.DType} {Text(entry.Shape)}, the manifest says {dtype} {Text(shard.Shape)}");
        return entry;
    }

    private List<TensorShard> Shards(string name)
    {
        var shards = _shards[name].ToList();
        return shards.Count > 0 ? shards : throw new InvalidDataException($"the checkpoint has no tensor '{name}'");
    }
}
