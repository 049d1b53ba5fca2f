using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.MobileNet;

/// <summary>
/// MobileNet: Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision applications", arXiv:1704.04861,
/// Table 1.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes). The width multiplier α (§3.3) is the option <c>widthMultiplier</c>; the resolution
/// multiplier ρ (§3.4) is inputSize/224, as the paper sets it: 224, 192, 160 or 128. Deviations: Table 1 gives the last depthwise
/// convolution stride 2 where its sizes say 1, which is built; images below 48 pixels have a stem of stride 1.
/// </remarks>
public sealed class MobileNetV1 : ImageClassifier
{
    private static readonly (int Channels, int Stride)[] Blocks =
    [
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
    ];

    private readonly Relu6? clip;
    private readonly Conv2d conv1;
    private readonly BatchNormalization bn1;
    private readonly Sequential blocks;
    private readonly AdaptiveAvgPool2d avgpool = nn.AdaptiveAvgPool2d(1);
    private readonly Linear fc;

    private MobileNetV1(ClassifierShape shape, double width, bool clips, bool paperInit, StepPosition position, ScalarType dtype)
        : base("mobilenet_v1", shape, position)
    {
        clip = clips ? new Relu6() : null;
        var channels = CommonOptions.Scaled(32, width);
        conv1 = nn.Conv2d(
            shape.Channels, channels, 3, shape.InputSize < CommonOptions.HalvedSmallInput ? 1 : 2, 1, bias: false, dtype: dtype);
        bn1 = new BatchNormalization(channels, dtype);
        blocks = nn.Sequential();
        foreach (var block in Blocks)
        {
            var output = CommonOptions.Scaled(block.Channels, width);
            blocks.append(new DepthwiseSeparable(channels, output, block.Stride, clips, dtype));
            channels = output;
        }

        fc = nn.Linear(channels, shape.Classes, dtype: dtype);
        RegisterComponents();
        Initialize(paperInit ? Paper : Distribution.He);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
        [new([nameof(conv1), nameof(bn1)], Stem), .. NetworkUnit.Blocks(nameof(blocks), blocks), new([nameof(avgpool), nameof(fc)], Head)];

    /// <summary>Builds the net from the options <c>inputSize channels classes widthMultiplier activation init</c>.</summary>
    public static MobileNetV1 Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options);
        var width = options.Number("widthMultiplier", 1, "more than 0 and at most 2", width => width is > 0 and <= 2);
        var clips = options.Choice("activation", "relu", "relu6") == "relu6";
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new MobileNetV1(shape, width, clips, paperInit, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = Stem(input);  // N×32×112×112
        x = blocks.call(x);   // N×64×112×112 → N×128×56×56 → … → N×1024×7×7
        return Head(x);       // N×1024 → N×classes
    }

    private Tensor Stem(Tensor images)
    {
        var x = bn1.call(conv1.call(images));
        return clip?.call(x) ?? x.relu_();
    }

    private Tensor Head(Tensor maps) => fc.call(avgpool.call(maps).flatten(1));

    /// <summary>The paper is silent; its authors' code draws from normals of σ 0.09, cut off at 2σ, which these are not.</summary>
    private static Distribution Paper(ParameterShard shard) =>
        shard.GlobalShape.Count > 1 ? new Distribution.Gaussian(0.09) : Distribution.OneOrZero(shard);
}
