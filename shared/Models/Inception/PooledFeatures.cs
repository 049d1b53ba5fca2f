using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// A global average and fewer, normalised features of it: what ports of Inception-ResNet v1 for faces have in front of their last layer.
/// </summary>
/// <remarks>(N, input, H, W) → (N, output, 1, 1).</remarks>
internal sealed class PooledFeatures : nn.Module<Tensor, Tensor>
{
    private readonly AdaptiveAvgPool2d avgpool = nn.AdaptiveAvgPool2d(1);
    private readonly Conv2d conv; // over one pixel, so that it is a fully connected layer
    private readonly BatchNormalization bn;

    public PooledFeatures(int input, int output, ScalarType dtype)
        : base(nameof(PooledFeatures))
    {
        conv = nn.Conv2d(input, output, 1, bias: false, dtype: dtype);
        bn = new BatchNormalization(output, dtype, ConvUnit.Epsilon);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => bn.call(conv.call(avgpool.call(input))); // N×output×1×1
}
