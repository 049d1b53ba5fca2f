using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.MobileNet;

/// <summary>
/// MobileNetV2: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", arXiv:1801.04381, §4, Table 2.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); state-dict names and numerics are torchvision's, which rounds channels to multiples
/// of 8 and keeps at least 1280 features whatever the width. Deviation: images below 48 pixels have a stem of stride 1.
/// </remarks>
public sealed class MobileNetV2 : ImageClassifier
{
    private static readonly (int Expansion, int Channels, int Repeats, int Stride)[] Stages =
    [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ];

    private readonly Sequential features;
    private readonly AdaptiveAvgPool2d avgpool = nn.AdaptiveAvgPool2d(1);
    private readonly Sequential classifier;

    private MobileNetV2(
        ClassifierShape shape, double width, double dropout, bool linear, bool paperInit, StepPosition position, ScalarType dtype)
        : base("mobilenet_v2", shape, position)
    {
        var channels = Divisible(32 * width);
        var last = Divisible(1280 * Math.Max(1, width));
        features = nn.Sequential(InvertedResidual.Filter(
            shape.Channels, channels, 3, shape.InputSize < CommonOptions.HalvedSmallInput ? 1 : 2, groups: 1, dtype));
        foreach (var stage in Stages)
        {
            var output = Divisible(stage.Channels * width);
            for (var i = 0; i < stage.Repeats; i++)
            {
                features.append(new InvertedResidual(channels, output, i == 0 ? stage.Stride : 1, stage.Expansion, linear, dtype));
                channels = output;
            }
        }

        features.append(InvertedResidual.Filter(channels, last, 1, 1, 1, dtype));
        classifier = nn.Sequential(
            new CounterDropout("classifier.0", dropout, last, 0, position), nn.Linear(last, shape.Classes, dtype: dtype));
        RegisterComponents();
        Initialize(paperInit ? Torchvision : Distribution.He);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
        [.. NetworkUnit.Blocks(nameof(features), features), new([nameof(avgpool), nameof(classifier)], Head)];

    /// <summary>
    /// Builds the net from the options <c>inputSize channels classes widthMultiplier dropout bottleneckActivation init</c>.
    /// </summary>
    public static MobileNetV2 Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options);
        var width = options.Number("widthMultiplier", 1, "more than 0 and at most 2", width => width is > 0 and <= 2);
        var dropout = CommonOptions.Dropout(options, 0.2);
        var linear = options.Choice("bottleneckActivation", "linear", "relu6") == "linear";
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new MobileNetV2(shape, width, dropout, linear, paperInit, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = features.call(input); // N×32×112×112 → N×16×112×112 → N×24×56×56 → … → N×320×7×7 → N×1280×7×7
        return Head(x);               // N×1280 → N×classes
    }

    private Tensor Head(Tensor maps) => classifier.call(avgpool.call(maps).flatten(1));

    /// <summary>The nearest multiple of 8 that loses less than a tenth.</summary>
    private static int Divisible(double channels)
    {
        var rounded = Math.Max(8, (int)(channels + 4) / 8 * 8);
        return rounded < 0.9 * channels ? rounded + 8 : rounded;
    }

    /// <summary>The paper is silent; torchvision draws convolutions from N(0, 2/fan-out) and the last layer with σ 0.01.</summary>
    private static Distribution Torchvision(ParameterShard shard)
    {
        if (shard.GlobalShape.Count == 4)
            return new Distribution.Gaussian(Math.Sqrt(2.0 / (shard.GlobalShape[0] * shard.GlobalShape[2] * shard.GlobalShape[3])));
        return shard.GlobalShape.Count == 2 ? new Distribution.Gaussian(0.01) : Distribution.OneOrZero(shard);
    }
}
