namespace Cluster.Worker.Checkpoints;

/// <summary>Weights to begin with, wherever they are stored: tensors under PyTorch's names.</summary>
public interface IWeights
{
    IEnumerable<string> WeightNames { get; }

    /// <summary>So far, from wherever they are stored, for whoever waits. Safe from any thread.</summary>
    long BytesRead { get; }

    /// <summary>The whole tensor's shape.</summary>
    /// <exception cref="InvalidDataException">There is no such tensor.</exception>
    IReadOnlyList<long> GlobalShape(string name);

    /// <summary>The elements' type, by safetensors' names: "BF16".</summary>
    Task<string> DTypeAsync(string name, CancellationToken cancellationToken);

    /// <summary>The bytes of <c>tensor[offset[d] : offset[d] + shape[d]]</c> for every dim d, row-major.</summary>
    /// <exception cref="InvalidDataException">There is no such tensor, or the slice lies outside it.</exception>
    Task<byte[]> ReadSliceAsync(string name, IReadOnlyList<long> offset, IReadOnlyList<long> shape, CancellationToken cancellationToken);
}
