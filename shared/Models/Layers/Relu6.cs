using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>min(max(x, 0), 6): Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".</summary>
/// <remarks>
/// Any shape → the same. Not in place: its gradient needs what came in, which libtorch would copy first. libtorch 1.13 has no gradient of
/// it in bfloat16 on CPUs: there it is taken in float32, which rounds nothing.
/// </remarks>
public sealed class Relu6() : nn.Module<Tensor, Tensor>(nameof(Relu6))
{
    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        if (!IsWidened(input))
            return nn.functional.relu6(input);
        using var wide = input.to(ScalarType.Float32);
        using var clipped = nn.functional.relu6(wide);
        return clipped.to(ScalarType.BFloat16);
    }

    /// <summary>Whether the gradient keeps <paramref name="input"/> in float32, not as it is.</summary>
    internal static bool IsWidened(Tensor input) => input.dtype == ScalarType.BFloat16 && input.device_type == DeviceType.CPU;
}
