using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.AlexNet;

/// <summary>
/// AlexNet of 2014, one tower: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, §5.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); 61,100,840 parameters at 3×224×224 and 1000 classes; state-dict names and numerics
/// are torchvision's, which has 256 filters in the fourth convolution where the paper has 384. Deviations: torchvision averages the last
/// map to 6×6 at any size, the identity at 224; small images have the reduced stem of <see cref="Stem"/>.
/// </remarks>
public sealed class AlexNetOneWeirdTrick : ImageClassifier
{
    private readonly Sequential features;
    private readonly Sequential classifier;

    private AlexNetOneWeirdTrick(
        ClassifierShape shape, double width, double dropout, bool paperInit, ChannelSplit split, StepPosition position, ScalarType dtype)
        : base("alexnet_owt", shape, position, split)
    {
        var stem = Stem.For(shape.InputSize);
        var last = Pooled(Pooled(Pooled(stem.OutputSize))); // 55 → 27 → 13 → 6
        var (c1, c2, c3, c4, hidden) = (Scaled(64), Scaled(192), Scaled(384), Scaled(256), Scaled(4096));
        features = nn.Sequential(
            nn.Conv2d(shape.Channels, split.OwnOfConvolution(c1), stem.Kernel, stem.Stride, 2, dtype: dtype),
            nn.ReLU(inplace: true),
            nn.MaxPool2d(3, 2),
            Convolution(c1, c2, 5),
            nn.ReLU(inplace: true),
            nn.MaxPool2d(3, 2),
            Convolution(c2, c3, 3),
            nn.ReLU(inplace: true),
            Convolution(c3, c4, 3),
            nn.ReLU(inplace: true),
            Convolution(c4, c4, 3),
            nn.ReLU(inplace: true),
            nn.MaxPool2d(3, 2));
        var own = split.Own(hidden);
        classifier = nn.Sequential(
            new CounterDropout("classifier.0", dropout, c4 * last * last, 0, position),
            FullyConnected.Undrawn(c4 * last * last, own, dtype),
            nn.ReLU(inplace: true),
            new CounterDropout("classifier.3", dropout, hidden, split.Part * own, position),
            split.Gathering(FullyConnected.Undrawn(hidden, own, dtype)),
            nn.ReLU(inplace: true),
            split.Gathering(FullyConnected.Undrawn(hidden, split.Own(shape.Classes), dtype)));
        RegisterComponents();
        Initialize(paperInit ? Torchvision : Distribution.He);

        int Scaled(int channels) => CommonOptions.Scaled(channels, width);
        Conv2d Convolution(int input, int output, int kernel) =>
            split.GatheringConvolution(nn.Conv2d(input, split.OwnOfConvolution(output), kernel, padding: kernel / 2, dtype: dtype));
        static int Pooled(int size) => ((size - 3) / 2) + 1;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
        [.. NetworkUnit.Layers(nameof(features), features), .. NetworkUnit.Layers(nameof(classifier), classifier, maps => maps.flatten(1))];

    /// <summary>Builds the net from the options <c>inputSize channels classes width dropout init</c>.</summary>
    public static AlexNetOneWeirdTrick Create(ModelOptions options, ChannelSplit split, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.FixedSize(options);
        var (width, dropout, paperInit) = (
            CommonOptions.Width(options), CommonOptions.Dropout(options, 0.5), CommonOptions.PaperInit(options));
        options.EnsureAllRead();
        return new AlexNetOneWeirdTrick(shape, width, dropout, paperInit, split, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = features.call(input);          // N×64×55×55 → N×192×27×27 → N×384×13×13 → N×256×13×13 → N×256×6×6
        x = classifier.call(JoinMaps(x).flatten(1)); // N×9216 → N×4096 → N×4096 → N×classes
        return Split.Finish(x);
    }

    /// <summary>The paper is silent; torchvision keeps PyTorch's: weights and biases uniform within ±1/√fan-in.</summary>
    private Distribution Torchvision(ParameterShard shard)
    {
        var weight = get_parameter(shard.Name.Replace(".bias", ".weight", StringComparison.Ordinal))!;
        return new Distribution.Symmetric(1 / Math.Sqrt(Distribution.FanIn(ShardOf(shard.Name, weight))));
    }
}
