using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.AlexNet;

/// <summary>
/// AlexNet as the review lists it in Keras: one tower of 96, 256, 384, 384 and 256 channels, no padding in the first convolution, no
/// response normalisation.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); 62,378,344 parameters at 3×224×224 and 1000 classes. After Krizhevsky et al. 2012,
/// from which it differs as said and in its last pooling, 2×2 where the paper's overlaps. Small images have the reduced stem of
/// <see cref="Stem"/>.
/// </remarks>
public sealed class AlexNetKeras : ImageClassifier
{
    private readonly int firstPadding;
    private readonly Conv2d conv1;
    private readonly Conv2d conv2;
    private readonly Conv2d conv3;
    private readonly Conv2d conv4;
    private readonly Conv2d conv5;
    private readonly MaxPool2d pool1 = nn.MaxPool2d(3, 2);
    private readonly MaxPool2d pool2 = nn.MaxPool2d(3, 2);
    private readonly MaxPool2d pool5 = nn.MaxPool2d(2, 2);
    private readonly Linear fc6;
    private readonly Linear fc7;
    private readonly Linear fc8;
    private readonly CounterDropout drop6;
    private readonly CounterDropout drop7;

    private AlexNetKeras(ClassifierShape shape, double width, double dropout, bool paperInit, StepPosition position, ScalarType dtype)
        : base("alexnet_keras", shape, position)
    {
        var stem = Stem.For(shape.InputSize);
        var large = shape.InputSize > CommonOptions.LargestSmallInput;
        firstPadding = large ? 0 : stem.PadBefore;
        var last = Overlapping(Overlapping(large ? 54 : stem.OutputSize)) / 2;
        var (c1, c2, c3, c5, hidden) = (Scaled(96), Scaled(256), Scaled(384), Scaled(256), Scaled(4096));
        conv1 = nn.Conv2d(shape.Channels, c1, stem.Kernel, stem.Stride, firstPadding, dtype: dtype);
        conv2 = nn.Conv2d(c1, c2, 5, padding: 2, dtype: dtype);
        conv3 = nn.Conv2d(c2, c3, 3, padding: 1, dtype: dtype);
        conv4 = nn.Conv2d(c3, c3, 3, padding: 1, dtype: dtype);
        conv5 = nn.Conv2d(c3, c5, 3, padding: 1, dtype: dtype);
        fc6 = FullyConnected.Undrawn(c5 * last * last, hidden, dtype);
        fc7 = FullyConnected.Undrawn(hidden, hidden, dtype);
        fc8 = FullyConnected.Undrawn(hidden, shape.Classes, dtype);
        drop6 = new CounterDropout("drop6", dropout, hidden, 0, position);
        drop7 = new CounterDropout("drop7", dropout, hidden, 0, position);
        RegisterComponents();
        Initialize(paperInit ? Keras : Distribution.He);

        int Scaled(int channels) => CommonOptions.Scaled(channels, width);
        static int Overlapping(int size) => ((size - 3) / 2) + 1;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
    [
        new([nameof(conv1), nameof(pool1)], x => pool1.call(conv1.call(x).relu_())),          // N×96×54×54 → N×96×26×26
        new([nameof(conv2), nameof(pool2)], x => pool2.call(conv2.call(x).relu_())),          // N×256×26×26 → N×256×12×12
        new([nameof(conv3)], x => conv3.call(x).relu_()),                                     // N×384×12×12
        new([nameof(conv4)], x => conv4.call(x).relu_()),                                     // N×384×12×12
        new([nameof(conv5), nameof(pool5)], x => pool5.call(conv5.call(x).relu_())),          // N×256×12×12 → N×256×6×6
        new([nameof(fc6), nameof(drop6)], x => drop6.call(fc6.call(x.flatten(1)).relu_())),   // N×9216 → N×4096
        new([nameof(fc7), nameof(drop7)], x => drop7.call(fc7.call(x).relu_())),              // N×4096
        new([nameof(fc8)], fc8.call),                                                         // N×classes
    ];

    /// <summary>Builds the net from the options <c>inputSize channels classes width dropout init</c>.</summary>
    public static AlexNetKeras Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.FixedSize(options);
        var (width, dropout, paperInit) = (
            CommonOptions.Width(options), CommonOptions.Dropout(options, 0.5), CommonOptions.PaperInit(options));
        options.EnsureAllRead();
        return new AlexNetKeras(shape, width, dropout, paperInit, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => NetworkUnit.Run(Units, input);

    /// <summary>
    /// The listing asks for Keras's "uniform", within ±0.05, in the convolutions and for nothing elsewhere, which is Glorot's uniform;
    /// biases 0.
    /// </summary>
    private static Distribution Keras(ParameterShard shard) => shard.GlobalShape.Count switch
    {
        4 => new Distribution.Symmetric(0.05),
        2 => new Distribution.Symmetric(Math.Sqrt(6.0 / (shard.GlobalShape[0] + shard.GlobalShape[1]))),
        _ => new Distribution.Constant(0),
    };
}
