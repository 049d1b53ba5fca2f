using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.ResNet;

/// <summary>
/// ResNet: He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385, §3.3, Table 1, Figs. 3 and 5.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); state-dict names and numerics are torchvision's. Deviations: bottlenecks stride in
/// the 3×3 convolution unless the option <c>stridePlacement</c> is <c>paper</c>; images of 28 to 64 pixels have a 3×3 stem without pooling
/// (stride 1 below 48 pixels, else 2), like the paper's nets for CIFAR (§4.2). <c>residual: false</c> gives the plain nets that the paper
/// compares with (Fig. 3 middle).
/// </remarks>
public sealed class ResNet : ImageClassifier
{
    private readonly MaxPool2d? maxpool;
    private readonly Conv2d conv1;
    private readonly BatchNormalization bn1;
    private readonly Sequential layer1;
    private readonly Sequential layer2;
    private readonly Sequential layer3;
    private readonly Sequential layer4;
    private readonly AdaptiveAvgPool2d avgpool = nn.AdaptiveAvgPool2d(1);
    private readonly Linear fc;

    private ResNet(ResNetDepth depth, ClassifierShape shape, double width, ShortcutKind shortcut, bool strideFirst, StepPosition position,
        ScalarType dtype)
        : base(depth.Name, shape, position)
    {
        var channels = CommonOptions.Scaled(64, width);
        var large = shape.InputSize > CommonOptions.LargestSmallInput;
        maxpool = large ? nn.MaxPool2d(3, 2, 1) : null;
        conv1 = large
            ? nn.Conv2d(shape.Channels, channels, 7, 2, 3, bias: false, dtype: dtype)
            : nn.Conv2d(
                shape.Channels, channels, 3, shape.InputSize < CommonOptions.HalvedSmallInput ? 1 : 2, 1, bias: false, dtype: dtype);
        bn1 = new BatchNormalization(channels, dtype);
        layer1 = Stage(0, stride: 1);
        layer2 = Stage(1, stride: 2);
        layer3 = Stage(2, stride: 2);
        layer4 = Stage(3, stride: 2);
        fc = nn.Linear(channels, shape.Classes, dtype: dtype);
        RegisterComponents();
        Initialize(Distribution.He); // the paper's (§3.4) too: init paper and init he name the same

        Sequential Stage(int stage, int stride)
        {
            var planes = CommonOptions.Scaled(64 << stage, width);
            var blocks = new List<Layer>();
            for (var i = 0; i < depth.Blocks[stage]; i++)
            {
                var output = depth.Bottleneck ? Bottleneck.Expansion * planes : planes;
                var block = new BlockShape(channels, planes, output, i == 0 ? stride : 1, shortcut, strideFirst, dtype);
                blocks.Add(depth.Bottleneck ? new Bottleneck(block) : new BasicBlock(block));
                channels = output;
            }

            return nn.Sequential(blocks);
        }
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
    [
        new([nameof(conv1), nameof(bn1), .. maxpool is null ? Array.Empty<string>() : [nameof(maxpool)]], Stem),
        .. NetworkUnit.Blocks(nameof(layer1), layer1), .. NetworkUnit.Blocks(nameof(layer2), layer2),
        .. NetworkUnit.Blocks(nameof(layer3), layer3), .. NetworkUnit.Blocks(nameof(layer4), layer4),
        new([nameof(avgpool), nameof(fc)], Head),
    ];

    /// <summary>
    /// Builds the net from the options <c>inputSize channels classes width residual shortcut init</c> and, with bottlenecks,
    /// <c>stridePlacement</c>.
    /// </summary>
    public static ResNet Create(ResNetDepth depth, ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options);
        var width = CommonOptions.Width(options);
        var residual = options.Flag("residual", true);
        var projects = options.Choice("shortcut", "B", "A") == "B";
        if (!residual && !projects)
            throw options.Wrong("shortcut", "A", "a plain net (residual false) has none: leave it out");
        var shortcut = !residual ? ShortcutKind.None : projects ? ShortcutKind.Projection : ShortcutKind.ZeroPadding;
        var strideFirst = depth.Bottleneck && options.Choice("stridePlacement", "torchvision", "paper") == "paper";
        CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new ResNet(depth, shape, width, shortcut, strideFirst, position, dtype);
    }

    /// <inheritdoc/>
    /// <remarks>The trail gives the channels of the nets with basic blocks; from layer1 on bottlenecks have four times as many.</remarks>
    public override Tensor forward(Tensor input)
    {
        var x = Stem(input);                                    // N×64×112×112 → N×64×56×56
        x = layer1.call(x);                                     // N×64×56×56
        x = layer2.call(x);                                     // N×128×28×28
        x = layer3.call(x);                                     // N×256×14×14
        x = layer4.call(x);                                     // N×512×7×7
        return Head(x);                                         // N×512 → N×classes
    }

    private Tensor Stem(Tensor images)
    {
        var x = bn1.call(conv1.call(images)).relu_();
        return maxpool is null ? x : maxpool.call(x);
    }

    private Tensor Head(Tensor maps) => fc.call(avgpool.call(maps).flatten(1));
}
