using Cluster.Models.Initialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.LeNet;

/// <summary>
/// LeNet-5 as published: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", §II.B, Fig. 2,
/// Table I, Appendix A.
/// </summary>
/// <remarks>
/// (N, channels, 28 or 32, the same) → (N, classes); 60,000 parameters with one channel: C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6
/// 10,164. A logit is minus the squared distance between F6 and the class's fixed code, so that cross-entropy is the paper's equation 9
/// without its constant for rubbish classes. Deviations: the digits' bitmaps are drawn anew (<see cref="DigitCodes"/>), and images of 28
/// pixels are padded to the paper's 32.
/// </remarks>
public sealed class LeNet5Of1998 : ImageClassifier
{
    private readonly Conv2d c1;
    private readonly Subsampling s2;
    private readonly TableConvolution c3;
    private readonly Subsampling s4;
    private readonly Conv2d c5;
    private readonly Linear f6;

    private LeNet5Of1998(ClassifierShape shape, bool paperInit, StepPosition position, ScalarType dtype)
        : base("lenet5_1998", shape, position)
    {
        c1 = nn.Conv2d(shape.Channels, 6, 5, padding: (32 - shape.InputSize) / 2, dtype: dtype);
        s2 = new Subsampling(6, dtype);
        c3 = new TableConvolution(dtype);
        s4 = new Subsampling(16, dtype);
        c5 = nn.Conv2d(16, 120, 5, dtype: dtype);
        f6 = nn.Linear(120, DigitCodes.Bits, dtype: dtype);
        RegisterComponents();
        Initialize(paperInit ? Paper : HeOrAverage);
        if (paperInit && !position.ParametersFollow)
            Rescale();
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
    [
        new([nameof(c1)], x => Squash(c1.call(x))),                             // N×6×28×28
        new([nameof(s2)], x => Squash(s2.call(x))),                             // N×6×14×14
        new([nameof(c3)], x => Squash(c3.call(x))),                             // N×16×10×10
        new([nameof(s4)], x => Squash(s4.call(x))),                             // N×16×5×5
        new([nameof(c5)], x => Squash(c5.call(x))),                             // N×120×1×1
        new([nameof(f6)], x => Distances(Squash(f6.call(x.flatten(1)))).neg()), // N×84 → N×classes
    ];

    /// <summary>Builds the net from the options <c>inputSize channels classes init</c>.</summary>
    public static LeNet5Of1998 Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var inputSize = options.Whole("inputSize", 32, 28, 32);
        if (inputSize is not (28 or 32))
            throw options.Wrong("inputSize", inputSize, "give 28 or 32");
        var shape = new ClassifierShape(options.Whole("channels", 1, 1, 16), inputSize, options.Whole("classes", 10, 2, 100_000));
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new LeNet5Of1998(shape, paperInit, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => NetworkUnit.Run(Units, input);

    /// <summary>Appendix A: f(a) = 1.7159·tanh(⅔a), for which f(±1) = ±1.</summary>
    private static Tensor Squash(Tensor x)
    {
        using Scalar amplitude = 1.7159, slope = 2.0 / 3;
        return (x * slope).tanh() * amplitude;
    }

    /// <summary>Equation 7: y_i = Σ_j (x_j − w_ij)², (N, 84) → (N, classes).</summary>
    private Tensor Distances(Tensor x)
    {
        var codes = tensor(DigitCodes.Of(Shape.Classes), [1, Shape.Classes, DigitCodes.Bits], dtype: x.dtype, device: x.device);
        var difference = x.unsqueeze(1) - codes;
        return (difference * difference).sum(2);
    }

    /// <summary>
    /// Appendix A: uniform within ±2.4/F, F the unit's inputs (4 for subsampling); biases are drawn like its other weights.
    /// </summary>
    private Distribution Paper(ParameterShard shard)
    {
        var layer = shard.Name.Split('.')[0];
        return new Distribution.Symmetric(layer switch
        {
            "s2" or "s4" => 2.4 / 4,
            "c3" => 2.4, // divided by each kernel's own F afterwards
            _ => 2.4 / get_parameter(layer + ".weight")!.shape.Skip(1).Aggregate(1L, (product, size) => product * size),
        });
    }

    /// <summary>A kernel of C3 has as many siblings as its map has inputs, so its bound is its own.</summary>
    private void Rescale()
    {
        using var guard = no_grad();
        using var scope = NewDisposeScope();
        var (weight, bias) = (get_parameter("c3.weight")!, get_parameter("c3.bias")!);
        weight.div_(tensor(TableConvolution.KernelFanIns(), [weight.shape[0], 1, 1], dtype: weight.dtype));
        bias.div_(tensor(TableConvolution.MapFanIns(), dtype: bias.dtype));
    }

    /// <summary>He et al.'s, and subsampling that starts as the plain average of its four inputs.</summary>
    private static Distribution HeOrAverage(ParameterShard shard) => shard.Name switch
    {
        "s2.weight" or "s4.weight" => new Distribution.Constant(0.25),
        "c3.weight" => new Distribution.Gaussian(Math.Sqrt(2.0 / 94)), // 25 · 60/16 inputs on average
        _ => Distribution.He(shard),
    };
}
