using static TorchSharp.torch;

namespace Cluster.Models.ResNet;

/// <summary>Sizes and choices of a residual block.</summary>
/// <param name="Input">Channels that come in.</param>
/// <param name="Planes">Channels of the block's 3×3 convolutions.</param>
/// <param name="Output">Channels that go out.</param>
/// <param name="Stride">Of the block as a whole.</param>
/// <param name="Shortcut">What goes round the block.</param>
/// <param name="StrideFirst">Bottlenecks: whether the first 1×1 convolution strides, as in the paper, or the 3×3, as in
/// torchvision.</param>
/// <param name="Dtype">Float32 or float64.</param>
public sealed record BlockShape(int Input, int Planes, int Output, int Stride, ShortcutKind Shortcut, bool StrideFirst, ScalarType Dtype)
{
    /// <summary>Whether input and output differ, so that the shortcut is not the identity.</summary>
    public bool Reshapes => Stride != 1 || Input != Output;
}

/// <summary>What goes round a residual block: He et al. 2015, §3.2 and §4.1.</summary>
public enum ShortcutKind
{
    /// <summary>Nothing: a plain net.</summary>
    None,

    /// <summary>The input; where shapes differ, padded with zeros (option A).</summary>
    ZeroPadding,

    /// <summary>The input; where shapes differ, through a 1×1 convolution (option B).</summary>
    Projection,
}
