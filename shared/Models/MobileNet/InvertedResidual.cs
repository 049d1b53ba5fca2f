using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.MobileNet;

/// <summary>Inverted residual with a linear bottleneck: Sandler et al. 2018, arXiv:1801.04381, §3.3, Table 1, Fig. 4d.</summary>
/// <remarks>
/// (N, input, H, W) → (N, output, H/stride, W/stride): widened by a 1×1, filtered by a depthwise 3×3, projected by a 1×1 without
/// activation; the shortcut joins the narrow ends where their shapes agree.
/// </remarks>
public sealed class InvertedResidual : nn.Module<Tensor, Tensor>
{
    private readonly bool joins;
    private readonly Sequential conv;

    /// <param name="input">Channels that come in.</param>
    /// <param name="output">Channels that go out.</param>
    /// <param name="stride">Of the depthwise convolution.</param>
    /// <param name="expansion">Channels within over those that come in; at 1 there is no widening convolution.</param>
    /// <param name="linear">Whether the projection is left without activation, as in the paper; its Fig. 6a compares.</param>
    /// <param name="dtype">Float32 or float64.</param>
    public InvertedResidual(int input, int output, int stride, int expansion, bool linear, ScalarType dtype)
        : base(nameof(InvertedResidual))
    {
        joins = stride == 1 && input == output;
        var wide = input * expansion;
        var layers = new List<Layer>();
        if (expansion != 1)
            layers.Add(Filter(input, wide, 1, 1, 1, dtype));
        layers.Add(Filter(wide, wide, 3, stride, wide, dtype));
        layers.Add(nn.Conv2d(wide, output, 1, bias: false, dtype: dtype));
        layers.Add(new BatchNormalization(output, dtype));
        if (!linear)
            layers.Add(new Relu6());
        conv = nn.Sequential(layers);
        RegisterComponents();
    }

    /// <summary>Convolution that keeps the size at stride 1, normalisation and ReLU6.</summary>
    public static Sequential Filter(int input, int output, int kernel, int stride, int groups, ScalarType dtype) => nn.Sequential(
        nn.Conv2d(input, output, kernel, stride, kernel / 2, groups: groups, bias: false, dtype: dtype),
        new BatchNormalization(output, dtype),
        new Relu6());

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => joins ? conv.call(input) + input : conv.call(input);
}
