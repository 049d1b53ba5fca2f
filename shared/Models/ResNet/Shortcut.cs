using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.ResNet;

/// <summary>What goes round a residual block: He et al. 2015, §3.3, and options A and B of §4.1.</summary>
internal static class Shortcut
{
    /// <summary>Option B's 1×1 convolution and normalisation, or null where the shortcut has no parameters.</summary>
    public static Sequential? Projection(BlockShape shape) => shape is { Reshapes: true, Shortcut: ShortcutKind.Projection }
        ? nn.Sequential(
            nn.Conv2d(shape.Input, shape.Output, 1, shape.Stride, bias: false, dtype: shape.Dtype),
            new BatchNormalization(shape.Output, shape.Dtype))
        : null;

    /// <summary>The block's last map with the shortcut added to it, rectified; both in place.</summary>
    public static Tensor Join(Tensor x, Tensor input, Sequential? projection, BlockShape shape)
    {
        if (shape.Shortcut == ShortcutKind.None)
            return x.relu_();
        return x.add_(projection is null ? Pad(input, shape) : projection.call(input)).relu_();
    }

    /// <summary>
    /// Option A: every stride-th pixel, and zeros for the channels that the input lacks; the input itself where the shapes agree.
    /// </summary>
    private static Tensor Pad(Tensor input, BlockShape shape)
    {
        if (!shape.Reshapes)
            return input;
        var x = shape.Stride == 1 ? input : nn.functional.avg_pool2d(input, 1, shape.Stride);
        return nn.functional.pad(x, [0, 0, 0, 0, 0, shape.Output - shape.Input]);
    }
}
