using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.ResNet;

/// <summary>Bottleneck residual block: He et al. 2015, arXiv:1512.03385, §4.1, Fig. 5 right.</summary>
/// <remarks>
/// (N, Input, H, W) → (N, Output, H/stride, W/stride), Output four times Planes. Deviation unless <see cref="BlockShape.StrideFirst"/>: the
/// stride is on the 3×3 convolution, as in torchvision; the paper strides the first 1×1.
/// </remarks>
public sealed class Bottleneck : nn.Module<Tensor, Tensor>
{
    /// <summary>Output channels over those of the 3×3 convolution.</summary>
    public const int Expansion = 4;

    private readonly BlockShape shape;
    private readonly Conv2d conv1;
    private readonly BatchNormalization bn1;
    private readonly Conv2d conv2;
    private readonly BatchNormalization bn2;
    private readonly Conv2d conv3;
    private readonly BatchNormalization bn3;
    private readonly Sequential? downsample;

    public Bottleneck(BlockShape shape)
        : base(nameof(Bottleneck))
    {
        this.shape = shape;
        var (first, second) = shape.StrideFirst ? (shape.Stride, 1) : (1, shape.Stride);
        conv1 = nn.Conv2d(shape.Input, shape.Planes, 1, first, bias: false, dtype: shape.Dtype);
        bn1 = new BatchNormalization(shape.Planes, shape.Dtype);
        conv2 = nn.Conv2d(shape.Planes, shape.Planes, 3, second, 1, bias: false, dtype: shape.Dtype);
        bn2 = new BatchNormalization(shape.Planes, shape.Dtype);
        conv3 = nn.Conv2d(shape.Planes, shape.Output, 1, bias: false, dtype: shape.Dtype);
        bn3 = new BatchNormalization(shape.Output, shape.Dtype);
        downsample = Shortcut.Projection(shape);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = bn1.call(conv1.call(input)).relu_(); // N×Planes×H×W
        x = bn2.call(conv2.call(x)).relu_();         // N×Planes×H/stride×W/stride
        x = bn3.call(conv3.call(x));                 // N×Output×H/stride×W/stride
        return Shortcut.Join(x, input, downsample, shape);
    }
}
