using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>
/// tanh, then the mean of each square of 2×2: LeNet-5's units (LeCun et al. 1998, §II.B) with the subsampling that follows them.
/// </summary>
/// <remarks>
/// (N, C, H, W) → (N, C, ⌊H/2⌋, ⌊W/2⌋), in the layout of the input. In float32 on the CPU and with whole squares a kernel of our own
/// does both in one pass, forward and backward: libtorch's two operators take a third of LeNet-5's step. Otherwise these.
/// </remarks>
public sealed class TanhPool() : nn.Module<Tensor, Tensor>(nameof(TanhPool)), IKernelLayer
{
    /// <inheritdoc/>
    public bool UsesKernel { get; set; } = true;

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => IsForKernel(input) ? FusedTanhPool.Apply(input) : ByOperators(input);

    /// <summary>By libtorch's operators.</summary>
    internal static Tensor ByOperators(Tensor input) => nn.functional.avg_pool2d(input.tanh(), 2);

    private bool IsForKernel(Tensor input) =>
        UsesKernel && input.dtype == ScalarType.Float32 && input.device_type == TorchSharp.DeviceType.CPU && input.numel() > 0
        && input.shape is [_, _, var height, var width] && height % 2 == 0 && width % 2 == 0;
}
