using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.ResNet;

/// <summary>Residual block of two 3×3 convolutions: He et al. 2015, arXiv:1512.03385, Fig. 5 left.</summary>
/// <remarks>(N, Input, H, W) → (N, Output, H/stride, W/stride).</remarks>
public sealed class BasicBlock : nn.Module<Tensor, Tensor>
{
    private readonly BlockShape shape;
    private readonly Conv2d conv1;
    private readonly BatchNormalization bn1;
    private readonly Conv2d conv2;
    private readonly BatchNormalization bn2;
    private readonly Sequential? downsample;

    public BasicBlock(BlockShape shape)
        : base(nameof(BasicBlock))
    {
        this.shape = shape;
        conv1 = nn.Conv2d(shape.Input, shape.Planes, 3, shape.Stride, 1, bias: false, dtype: shape.Dtype);
        bn1 = new BatchNormalization(shape.Planes, shape.Dtype);
        conv2 = nn.Conv2d(shape.Planes, shape.Output, 3, 1, 1, bias: false, dtype: shape.Dtype);
        bn2 = new BatchNormalization(shape.Output, shape.Dtype);
        downsample = Shortcut.Projection(shape);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = bn1.call(conv1.call(input)).relu_(); // N×Planes×H/stride×W/stride
        x = bn2.call(conv2.call(x));                 // N×Output×H/stride×W/stride
        return Shortcut.Join(x, input, downsample, shape);
    }
}
