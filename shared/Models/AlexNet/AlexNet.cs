using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using LocalResponseNorm = Cluster.Models.Layers.LocalResponseNorm;

namespace Cluster.Models.AlexNet;

/// <summary>
/// AlexNet as in 2012, two towers: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks",
/// §3.5, Fig. 2.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); 60,965,224 parameters at 3×224×224 and 1000 classes. conv2, conv4 and conv5 see
/// their own tower only (grouped convolutions), conv3 and the fully connected layers both. Built whole, or as one tower of two for model
/// parallelism: then every parameter is the tower's rows (dim 0) of the whole net's, under the same name and with the same initial values,
/// and one forward body serves both.
/// </remarks>
public sealed class AlexNet : ImageClassifier
{
    private readonly AlexNetShape net;
    private readonly int towers; // held here: 2, or 1 when the other is elsewhere
    private readonly Conv2d conv1;
    private readonly Conv2d conv2;
    private readonly Conv2d conv3;
    private readonly Conv2d conv4;
    private readonly Conv2d conv5;
    private readonly Linear fc6;
    private readonly Linear fc7;
    private readonly Linear fc8;
    private readonly LocalResponseNorm norm1;
    private readonly LocalResponseNorm norm2;
    private readonly MaxPool2d pool1;
    private readonly MaxPool2d pool2;
    private readonly MaxPool2d pool5;
    private readonly CounterDropout drop6;
    private readonly CounterDropout drop7;

    /// <param name="net">Sizes.</param>
    /// <param name="split">Both towers, or one of them.</param>
    /// <param name="position">Seed, step and first sample.</param>
    /// <param name="dtype">Float32 or float64.</param>
    public AlexNet(AlexNetShape net, ChannelSplit split, StepPosition position, ScalarType dtype)
        : base("alexnet", net.Classifier, position, split)
    {
        this.net = net;
        towers = AlexNetShape.Towers / split.Parts;
        // as each card normalised what it held
        (norm1, norm2) = (LocalResponseNorm.AsInPaper(groups: towers), LocalResponseNorm.AsInPaper(groups: towers));
        var tower = split.Part;
        const int Both = AlexNetShape.Towers;

        conv1 = nn.Conv2d(net.Classifier.Channels, towers * net.Conv1, net.Stem.Kernel, net.Stem.Stride, dtype: dtype);
        conv2 = nn.Conv2d(towers * net.Conv1, towers * net.Conv2, 5, padding: 2, groups: towers, dtype: dtype);
        conv3 = nn.Conv2d(Both * net.Conv2, towers * net.Conv3, 3, padding: 1, dtype: dtype);
        conv4 = nn.Conv2d(towers * net.Conv3, towers * net.Conv4, 3, padding: 1, groups: towers, dtype: dtype);
        conv5 = nn.Conv2d(towers * net.Conv4, towers * net.Conv5, 3, padding: 1, groups: towers, dtype: dtype);
        fc6 = FullyConnected.Undrawn(Both * net.Conv5 * net.Pool5Size * net.Pool5Size, towers * net.Fc6, dtype);
        fc7 = FullyConnected.Undrawn(Both * net.Fc6, towers * net.Fc7, dtype);
        fc8 = FullyConnected.Undrawn(Both * net.Fc7, split.Own(net.Classifier.Classes), dtype);
        (pool1, pool2, pool5) = (nn.MaxPool2d(net.PoolWindow, 2), nn.MaxPool2d(net.PoolWindow, 2), nn.MaxPool2d(net.PoolWindow, 2));
        drop6 = new CounterDropout("drop6", net.Dropout, Both * net.Fc6, tower * net.Fc6, position, net.DropoutForm);
        drop7 = new CounterDropout("drop7", net.Dropout, Both * net.Fc7, tower * net.Fc7, position, net.DropoutForm);
        RegisterComponents();
        Initialize(net.Init == "paper" ? Paper : Distribution.He);
    }

    /// <inheritdoc/>
    /// <remarks>The trail gives one tower's channels at 224; T is the towers held here.</remarks>
    public override IReadOnlyList<NetworkUnit> Units =>
    [
        // N×3×227×227 → N×T48×55×55 → N×T48×27×27
        new([nameof(conv1), nameof(norm1), nameof(pool1)], x => pool1.call(Normalized(norm1, conv1.call(Pad(x)).relu()))),
        // N×T128×27×27 → N×T128×13×13
        new([nameof(conv2), nameof(norm2), nameof(pool2)], x => pool2.call(Normalized(norm2, conv2.call(x).relu()))),
        new([nameof(conv3)], x => conv3.call(Split.Gather(x)).relu()), // N×256×13×13 → N×T192×13×13
        new([nameof(conv4)], x => conv4.call(x).relu()), // N×T192×13×13
        new([nameof(conv5), nameof(pool5)], x => pool5.call(conv5.call(x).relu())), // N×T128×13×13 → N×T128×6×6
        new([nameof(fc6), nameof(drop6)], x => drop6.call(fc6.call(Split.Gather(x.flatten(1))).relu())), // N×9216 → N×T2048
        new([nameof(fc7), nameof(drop7)], x => drop7.call(fc7.call(Split.Gather(x)).relu())), // N×4096 → N×T2048
        new([nameof(fc8)], x => Split.Finish(fc8.call(Split.Gather(x)))), // N×4096 → N×T(classes/2) → N×classes
    ];

    /// <summary>The undivided net.</summary>
    public static AlexNet Create(ModelOptions options, StepPosition position, ScalarType dtype) =>
        new(AlexNetShape.Read(options), ChannelSplit.None, position, dtype);

    /// <summary>One tower of two.</summary>
    public static AlexNet CreatePart(ModelOptions options, ChannelSplit split, StepPosition position, ScalarType dtype)
    {
        var sizes = AlexNetShape.Read(options);
        if (split.Parts != AlexNetShape.Towers)
            throw new ModelOptionException(
                $"alexnet has {AlexNetShape.Towers} towers and cannot be split over {split.Parts} devices; use {AlexNetShape.Towers}");
        if (sizes.Classifier.Classes % AlexNetShape.Towers != 0)
            throw options.Wrong("classes", sizes.Classifier.Classes,
                "a net split by model needs an even number, since each tower computes half of the scores");
        return new AlexNet(sizes, split, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => NetworkUnit.Run(Units, input);

    private Tensor Pad(Tensor images) =>
        nn.functional.pad(images, [net.Stem.PadBefore, net.Stem.PadAfter, net.Stem.PadBefore, net.Stem.PadAfter]);

    /// <summary>
    /// §5: weights N(0, 0.01²); biases 1 in conv2, conv4, conv5 and the hidden fully connected layers, which gives their ReLUs positive
    /// inputs at first; else 0.
    /// </summary>
    private static Distribution Paper(ParameterShard shard) => shard.Name switch
    {
        "conv2.bias" or "conv4.bias" or "conv5.bias" or "fc6.bias" or "fc7.bias" => new Distribution.Constant(1),
        _ when shard.Name.EndsWith(".bias", StringComparison.Ordinal) => new Distribution.Constant(0),
        _ => new Distribution.Gaussian(0.01),
    };

    private Tensor Normalized(LocalResponseNorm norm, Tensor x) => net.Normalize ? norm.call(x) : x;
}
