using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>min(max(x, 0), 6), in place where it can be: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".</summary>
/// <remarks>Any shape → the same. libtorch 1.13 has no gradient of it in bfloat16 on CPUs: there it is taken in float32, which rounds nothing.</remarks>
public sealed class Relu6() : nn.Module<Tensor, Tensor>(nameof(Relu6))
{
    /// <summary>As a function.</summary>
    public static Tensor Clip(Tensor x) => x.dtype == ScalarType.BFloat16 && x.device_type == DeviceType.CPU
        ? x.to(ScalarType.Float32).relu6_().to(ScalarType.BFloat16)
        : x.relu6_();

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => Clip(input).alias(); // its own reference: a sequence disposes of what lies between its layers
}
