using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;
using LocalResponseNorm = Cluster.Models.Layers.LocalResponseNorm;

namespace Cluster.Models.Vgg;

/// <summary>VGG: Simonyan and Zisserman 2014, arXiv:1409.1556, §2.1 and Table 1.</summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); state-dict names and numerics are torchvision's. Deviations: torchvision averages
/// the last map to 7×7 at any size, which is the identity at 224, the one large size built here (other sizes: <see cref="DenseVgg"/>);
/// images of 28 to 64 pixels round odd maps up when pooling, so that five poolings leave 1×1 or 2×2.
/// </remarks>
public sealed class Vgg : ImageClassifier
{
    private readonly Sequential features;
    private readonly Sequential classifier;

    private Vgg(
        VggNet net, ClassifierShape shape, double width, double dropout, bool paperInit, ChannelSplit split, StepPosition position,
        ScalarType dtype)
        : base(net.Name, shape, position, split)
    {
        MapSize = (shape.InputSize + 31) / 32;
        var hidden = CommonOptions.Scaled(4096, width);
        var channels = CommonOptions.Scaled(VggNet.Channels[^1], width);
        features = nn.Sequential(Features(net, shape.Channels, width, split, dtype));
        var own = split.Own(hidden);
        classifier = nn.Sequential(
            FullyConnected.Undrawn(channels * MapSize * MapSize, own, dtype),
            nn.ReLU(inplace: true),
            new CounterDropout("classifier.2", dropout, hidden, split.Part * own, position),
            split.Gathering(FullyConnected.Undrawn(hidden, own, dtype)),
            nn.ReLU(inplace: true),
            new CounterDropout("classifier.5", dropout, hidden, split.Part * own, position),
            split.Gathering(FullyConnected.Undrawn(hidden, split.Own(shape.Classes), dtype)));
        RegisterComponents();
        Initialize(paperInit ? Paper : Distribution.He);
    }

    /// <summary>Height and width of the last pooling's output: 7 for ImageNet.</summary>
    public int MapSize { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
        [.. NetworkUnit.Layers(nameof(features), features), .. NetworkUnit.Layers(nameof(classifier), classifier, maps => maps.flatten(1))];

    /// <summary>Builds the net from the options <c>inputSize channels classes width dropout init</c>.</summary>
    public static Vgg Create(VggNet net, ModelOptions options, ChannelSplit split, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.FixedSize(options);
        var (width, dropout, paperInit) = (
            CommonOptions.Width(options), CommonOptions.Dropout(options, 0.5), CommonOptions.PaperInit(options));
        options.EnsureAllRead();
        return new Vgg(net, shape, width, dropout, paperInit, split, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = Features(input);               // N×512×7×7
        x = classifier.call(JoinMaps(x).flatten(1)); // N×25088 → N×4096 → N×4096 → N×classes
        return Split.Finish(x);
    }

    /// <summary>
    /// The five stages, for images of any size: N×3×224×224 → N×64×112×112 → N×128×56×56 → N×256×28×28 → N×512×14×14 → N×512×7×7.
    /// </summary>
    internal Tensor Features(Tensor images) => features.call(images);

    private static IEnumerable<Layer> Features(VggNet net, int inputChannels, double width, ChannelSplit split, ScalarType dtype)
    {
        var channels = inputChannels;
        for (var stage = 0; stage < net.Convolutions.Count; stage++)
        {
            var output = CommonOptions.Scaled(VggNet.Channels[stage], width);
            for (var i = 0; i < net.Convolutions[stage]; i++)
            {
                var kernel = net.PointwiseLast && i == 2 ? 1 : 3;
                var conv = nn.Conv2d(channels, split.OwnOfConvolution(output), kernel, padding: kernel / 2, dtype: dtype);
                yield return stage == 0 && i == 0 ? conv : split.GatheringConvolution(conv);
                if (net.BatchNorm)
                    yield return new BatchNormalization(output, dtype);
                yield return nn.ReLU(inplace: true);
                if (net.LocalResponseNorm && stage == 0)
                    yield return LocalResponseNorm.AsInPaper();
                channels = output;
            }

            yield return nn.MaxPool2d(2, 2, ceil_mode: true); // at 224 every map is even
        }
    }

    /// <summary>§3.1: weights N(0, 10⁻²), that is σ 0.1, and biases 0. The paper starts its deeper nets from a trained A.</summary>
    private static Distribution Paper(ParameterShard shard) =>
        shard.GlobalShape.Count > 1 ? new Distribution.Gaussian(0.1) : Distribution.OneOrZero(shard);
}
