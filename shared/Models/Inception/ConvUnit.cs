using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>Convolution, batch normalisation where the net has it, and ReLU: the unit of every Inception net.</summary>
/// <remarks>
/// (N, input, H, W) → (N, output, H′, W′); parameters under torchvision's names, <c>conv</c> and <c>bn</c>, and with its ε of 0.001.
/// </remarks>
internal sealed class ConvUnit : nn.Module<Tensor, Tensor>
{
    /// <summary>What normalisation adds to the variance.</summary>
    public const double Epsilon = 0.001;

    private readonly Conv2d? depthwise;
    private readonly Conv2d conv;
    private readonly BatchNormalization? bn;

    public ConvUnit(int input, int output, (long Height, long Width) kernel, int stride, (long Height, long Width) padding, UnitStyle style)
        : base(nameof(ConvUnit))
    {
        conv = nn.Conv2d(input, output, kernel, (stride, stride), padding, bias: style.Biased, dtype: style.Dtype);
        bn = style.Normalizes ? new BatchNormalization(output, style.Dtype, Epsilon) : null;
        RegisterComponents();
    }

    private ConvUnit(int input, int output, int kernel, int stride, int multiplier, UnitStyle style)
        : base(nameof(ConvUnit))
    {
        depthwise = nn.Conv2d(input, multiplier * input, kernel, stride, kernel / 2, groups: input, bias: false, dtype: style.Dtype);
        conv = nn.Conv2d(multiplier * input, output, 1, bias: style.Biased, dtype: style.Dtype);
        bn = new BatchNormalization(output, style.Dtype, Epsilon);
        RegisterComponents();
    }

    /// <summary>
    /// A separable convolution: each channel by itself with <paramref name="multiplier"/> filters, and a 1×1 across them: Ioffe and Szegedy
    /// 2015, appendix.
    /// </summary>
    public static ConvUnit Separable(int input, int output, int kernel, int stride, int multiplier, UnitStyle style) =>
        new(input, output, kernel, stride, multiplier, style);

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = conv.call(depthwise is null ? input : depthwise.call(input)); // N×output×H′×W′
        return (bn is null ? x : bn.call(x)).relu_();
    }
}
