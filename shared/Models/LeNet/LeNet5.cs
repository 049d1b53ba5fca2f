using Cluster.Models.Initialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.LeNet;

/// <summary>
/// LeNet-5: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", §II.B, Fig. 2.
/// </summary>
/// <remarks>
/// (N, channels, 28 or 32, the same) → (N, classes); 61,706 parameters with one channel and ten classes. Deviations, which are
/// everybody's today: C3 sees all maps of S2 (the paper's Table I connects some), subsampling has no trained coefficient, tanh is plain
/// (the paper scales it to 1.7159·tanh(⅔x)), and the output layer is linear where the paper has Euclidean RBF units.
/// </remarks>
public sealed class LeNet5 : ImageClassifier
{
    private readonly bool tanh;
    private readonly Conv2d conv1;
    private readonly Conv2d conv2;
    private readonly AvgPool2d pool1 = nn.AvgPool2d(2);
    private readonly AvgPool2d pool2 = nn.AvgPool2d(2);
    private readonly Linear fc1;
    private readonly Linear fc2;
    private readonly Linear fc3;

    internal LeNet5(ClassifierShape shape, string activation, string init, StepPosition position, ScalarType dtype)
        : base("lenet5", shape, position)
    {
        tanh = activation == "tanh";
        conv1 = nn.Conv2d(shape.Channels, 6, 5, padding: (32 - shape.InputSize) / 2, dtype: dtype); // C1; 28 is padded to the paper's 32
        conv2 = nn.Conv2d(6, 16, 5, dtype: dtype); // C3
        fc1 = nn.Linear(16 * 5 * 5, 120, dtype: dtype); // C5: a convolution whose kernel is its whole input
        fc2 = nn.Linear(120, 84, dtype: dtype); // F6
        fc3 = nn.Linear(84, shape.Classes, dtype: dtype);
        RegisterComponents();
        Initialize(init == "paper" ? Paper : Distribution.He);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units =>
    [
        new([nameof(conv1), nameof(pool1)], x => pool1.call(Squash(conv1.call(x)))), // N×6×28×28 → N×6×14×14
        new([nameof(conv2), nameof(pool2)], x => pool2.call(Squash(conv2.call(x)))), // N×16×10×10 → N×16×5×5
        new([nameof(fc1)], x => Squash(fc1.call(x.flatten(1)))),                     // N×120
        new([nameof(fc2)], x => Squash(fc2.call(x))),                                // N×84
        new([nameof(fc3)], fc3.call),                                                // N×classes
    ];

    /// <summary>Builds the net from the options <c>inputSize channels classes activation init</c>.</summary>
    public static LeNet5 Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var inputSize = options.Whole("inputSize", 32, 28, 32);
        if (inputSize is not (28 or 32))
            throw options.Wrong("inputSize", inputSize, "give 28 or 32");
        var shape = new ClassifierShape(options.Whole("channels", 1, 1, 16), inputSize, options.Whole("classes", 10, 2, 100_000));
        var activation = options.Choice("activation", "tanh", "relu");
        var init = options.Choice("init", "paper", "he");
        options.EnsureAllRead();
        return new LeNet5(shape, activation, init, position, dtype);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => NetworkUnit.Run(Units, input);

    private Tensor Squash(Tensor x) => tanh ? x.tanh() : x.relu();

    /// <summary>Appendix A: uniform within ±2.4/F, F the unit's inputs; biases are drawn like its other weights.</summary>
    private Distribution Paper(ParameterShard shard)
    {
        var weight = shard.Name.EndsWith(".bias", StringComparison.Ordinal) ? shard.Name[..^"bias".Length] + "weight" : shard.Name;
        return new Distribution.Symmetric(2.4 / Distribution.FanIn(ShardOf(weight, get_parameter(weight)!)));
    }
}
