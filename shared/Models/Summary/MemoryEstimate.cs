using static TorchSharp.torch;

namespace Cluster.Models.Summary;

/// <summary>Bytes that training a network takes on its device, at a step's peak.</summary>
/// <param name="Parameters">With the running statistics, and the float32 masters of those that are bfloat16.</param>
/// <param name="Gradients">One for each parameter, and for each master.</param>
/// <param name="OptimizerState">What the optimizer remembers of each parameter.</param>
/// <param name="Activations">What the forward pass leaves for the backward pass, the images included.</param>
/// <param name="Transient">What comes and goes within the backward pass, at its largest.</param>
/// <param name="Images">A batch as it is loaded, in float32.</param>
public sealed record MemoryEstimate(long Parameters, long Gradients, long OptimizerState, long Activations, long Transient, long Images)
{
    /// <summary>
    /// What a trainer's process takes beside its network: the runtime, libtorch and their heaps, most of it pages of the libraries' files,
    /// and what it exchanges, stores checkpoints and tells telemetry by.
    /// </summary>
    public const long ProcessBytes = 288L << 20;

    /// <summary>On the device.</summary>
    public long Total => Parameters + Gradients + OptimizerState + Activations + Transient;

    /// <summary>
    /// On a GPU beside the total: two batches are on their way there, and an optimizer steps with all gradients in one piece.
    /// </summary>
    public long GpuOnly => (2 * Images) + Gradients;

    /// <summary>
    /// What is copied for a checkpoint, and held while steps go on until it is stored; in the CPU's memory wherever the device is.
    /// </summary>
    public long Snapshot => Parameters + OptimizerState;

    /// <summary>
    /// What a trainer's heap takes for a byte that comes and goes with each step: its size classes, and what freed memory is cut into.
    /// Measured by <c>./cluster bench memory</c>.
    /// </summary>
    private const double HeapOverhead = 1.2;

    /// <summary>Of a process whose device is the CPU; the data set comes on top.</summary>
    public long Resident =>
        ProcessBytes + Parameters + OptimizerState + Snapshot + (long)(HeapOverhead * (Gradients + Activations + Transient));

    /// <summary>Sends an image or two through <paramref name="network"/> and counts for <paramref name="batch"/>.</summary>
    /// <param name="network">
    /// As it will train: with its options, its type and, under parallelism, this rank's part only. It must be in the CPU's memory; its
    /// parameters may hold anything (<see cref="ModelRegistry.CreateToLoad"/>), and its running statistics move.
    /// </param>
    /// <param name="batch">Images that this rank sees in one forward pass.</param>
    /// <param name="statesPerParameter">
    /// Tensors that the optimizer keeps for each parameter: none for SGD without momentum, 1 with it, 2 for Adam; a fraction of that
    /// where ranks share them.
    /// </param>
    /// <param name="gradientsSummed">
    /// Over ranks: backward's own tensor of a gradient is there beside the one that is exchanged, until it has been copied.
    /// </param>
    public static MemoryEstimate Of(ImageClassifier network, int batch, double statesPerParameter, bool gradientsSummed = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        ArgumentOutOfRangeException.ThrowIfNegative(statesPerParameter);
        var masters = network.parameters().Sum(parameter => parameter.dtype == ScalarType.BFloat16 ? parameter.numel() * sizeof(float) : 0);
        var parameters = network.parameters().Sum(Bytes) + masters;
        var optimized = masters + network.parameters().Where(parameter => parameter.dtype != ScalarType.BFloat16).Sum(Bytes);
        var trace = ActivationTrace.Of(network);
        var shape = network.Shape;
        var copied = gradientsSummed ? network.parameters().Max(Bytes) : 0;
        return new MemoryEstimate(
            parameters + network.Buffers().Sum(b => Bytes(b.Buffer)), parameters, (long)Math.Ceiling(statesPerParameter * optimized),
            batch * trace.KeptBytes, (batch * trace.TransientBytes) + copied,
            (long)batch * shape.Channels * shape.InputSize * shape.InputSize * sizeof(float));
    }

    internal static long Bytes(Tensor tensor) => tensor.numel() * tensor.ElementSize;
}
