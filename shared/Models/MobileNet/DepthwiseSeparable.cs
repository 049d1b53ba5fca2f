using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.MobileNet;

/// <summary>
/// A 3×3 convolution of each channel by itself and a 1×1 across them, each with normalisation and ReLU: Howard et al. 2017,
/// arXiv:1704.04861, §3.1, Fig. 3 right.
/// </summary>
/// <remarks>(N, input, H, W) → (N, output, H/stride, W/stride). Its cost is 1/output + 1/9 of the full convolution's.</remarks>
public sealed class DepthwiseSeparable : nn.Module<Tensor, Tensor>
{
    private readonly Relu6? clip;
    private readonly Conv2d depthwise;
    private readonly BatchNormalization bn1;
    private readonly Conv2d pointwise;
    private readonly BatchNormalization bn2;

    /// <param name="input">Channels that come in.</param>
    /// <param name="output">Channels that go out.</param>
    /// <param name="stride">Of the depthwise convolution.</param>
    /// <param name="clips">ReLU6 in place of ReLU.</param>
    /// <param name="dtype">Float32 or float64.</param>
    public DepthwiseSeparable(int input, int output, int stride, bool clips, ScalarType dtype)
        : base(nameof(DepthwiseSeparable))
    {
        clip = clips ? new Relu6() : null;
        depthwise = nn.Conv2d(input, input, 3, stride, 1, groups: input, bias: false, dtype: dtype);
        bn1 = new BatchNormalization(input, dtype);
        pointwise = nn.Conv2d(input, output, 1, bias: false, dtype: dtype);
        bn2 = new BatchNormalization(output, dtype);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = Rectify(bn1.call(depthwise.call(input))); // N×input×H/stride×W/stride
        return Rectify(bn2.call(pointwise.call(x)));      // N×output×H/stride×W/stride
    }

    private Tensor Rectify(Tensor x) => clip?.call(x) ?? x.relu_();
}
