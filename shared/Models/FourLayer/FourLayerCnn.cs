using Cluster.Models.Initialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>
/// The four-layer net for CIFAR-10 of Krizhevsky, Sutskever and Hinton 2012, Fig. 1: ReLU against tanh until 25 % training error.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes); 89,578 parameters at 3×32×32 and ten classes. The paper does not list the layers;
/// these are the three convolutions and the one fully connected layer of its author's cuda-convnet (layers-18pct), without that file's
/// normalisation, as the paper's figure is without regularisation.
/// </remarks>
public sealed class FourLayerCnn : ImageClassifier
{
    private readonly Func<Tensor, Tensor> activate;
    private readonly Conv2d conv1;
    private readonly Conv2d conv2;
    private readonly Conv2d conv3;
    private readonly MaxPool2d pool1 = nn.MaxPool2d(3, 2, ceil_mode: true);
    private readonly AvgPool2d pool2 = nn.AvgPool2d(3, 2, ceil_mode: true);
    private readonly AvgPool2d pool3 = nn.AvgPool2d(3, 2, ceil_mode: true);
    private readonly Linear fc;

    private FourLayerCnn(
        ClassifierShape shape, double width, Func<Tensor, Tensor> activate, bool paperInit, StepPosition position, ScalarType dtype)
        : base("fourlayer_cnn", shape, position)
    {
        this.activate = activate;
        var (c1, c2, c3) = (CommonOptions.Scaled(32, width), CommonOptions.Scaled(32, width), CommonOptions.Scaled(64, width));
        conv1 = nn.Conv2d(shape.Channels, c1, 5, padding: 2, dtype: dtype);
        conv2 = nn.Conv2d(c1, c2, 5, padding: 2, dtype: dtype);
        conv3 = nn.Conv2d(c2, c3, 5, padding: 2, dtype: dtype);
        var last = Halved(Halved(Halved(shape.InputSize)));
        fc = nn.Linear(c3 * last * last, shape.Classes, dtype: dtype);
        RegisterComponents();
        Initialize(paperInit ? CudaConvnet : Distribution.He);

        static int Halved(int size) => size / 2; // windows of 3, two apart, rounded up: 32 → 16 → 8 → 4
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
    [
        new([nameof(conv1), nameof(pool1)], x => activate(pool1.call(conv1.call(x)))), // N×32×32×32 → N×32×16×16
        new([nameof(conv2), nameof(pool2)], x => pool2.call(activate(conv2.call(x)))), // N×32×16×16 → N×32×8×8
        new([nameof(conv3), nameof(pool3)], x => pool3.call(activate(conv3.call(x)))), // N×64×8×8 → N×64×4×4
        new([nameof(fc)], x => fc.call(x.flatten(1))),                                 // N×1024 → N×classes
    ];

    /// <summary>Builds the net from the options <c>inputSize channels classes width activation init</c>.</summary>
    public static FourLayerCnn Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = new ClassifierShape(
            options.Whole("channels", 3, 1, 16),
            options.Whole("inputSize", 32, 28, CommonOptions.LargestSmallInput),
            options.Whole("classes", 10, 2, 100_000));
        var width = CommonOptions.Width(options);
        Func<Tensor, Tensor> activate = options.Choice("activation", "relu", "tanh", "sigmoid") switch
        {
            "relu" => x => x.relu(),
            "tanh" => x => x.tanh(),
            _ => x => x.sigmoid(),
        };
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new FourLayerCnn(shape, width, activate, paperInit, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => NetworkUnit.Run(Units, input);

    /// <summary>cuda-convnet's: σ 0.0001 in the first layer and 0.01 in the others; biases 0.</summary>
    private static Distribution CudaConvnet(ParameterShard shard) =>
        shard.GlobalShape.Count == 1
            ? new Distribution.Constant(0)
            : new Distribution.Gaussian(shard.Name == "conv1.weight" ? 0.0001 : 0.01);
}
