using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>A network of the zoo: images (N, channels, inputSize, inputSize) → logits (N, classes).</summary>
public abstract class ImageClassifier : nn.Module<Tensor, Tensor>
{
    /// <param name="name">The registry's name.</param>
    /// <param name="shape">What goes in and what comes out.</param>
    /// <param name="position">Shared with the layers that draw random numbers.</param>
    /// <param name="split">The part of the net that is built; the whole by default.</param>
    protected ImageClassifier(string name, ClassifierShape shape, StepPosition position, ChannelSplit? split = null)
        : base(name)
    {
        Shape = shape;
        Position = position;
        Split = split ?? ChannelSplit.None;
    }

    /// <summary>Sizes of input and output.</summary>
    public ClassifierShape Shape { get; }

    /// <summary>The training loop sets step and first sample here before each forward pass.</summary>
    public StepPosition Position { get; }

    /// <summary>The part of the net that is held here.</summary>
    protected ChannelSplit Split { get; }

    /// <summary>What this process holds of each parameter: the whole of it, or rows of it when the net is split by model.</summary>
    public IReadOnlyList<ParameterShard> Shards() => [.. named_parameters().Select(p => ShardOf(p.name, p.parameter))];

    /// <summary>
    /// What a checkpoint must keep besides the parameters: tensors that forward passes change and no optimizer does, such as batch
    /// normalisation's running statistics. Every process holds them whole. Overwrite them in place.
    /// </summary>
    /// <remarks>
    /// Batch normalisation's count of batches is left out: only averages without momentum read it, which no net here uses, and PyTorch
    /// loads a state dict without it.
    /// </remarks>
    public IReadOnlyList<(string Name, Tensor Buffer)> Buffers() =>
        [.. named_buffers().Where(b => !b.name.EndsWith("num_batches_tracked", StringComparison.Ordinal)).Select(b => (b.name, b.buffer))];

    /// <summary>
    /// Names of the undivided net's parameters and buffers that are not held here because another process holds them whole.
    /// </summary>
    public virtual IReadOnlySet<string> HeldElsewhere => new HashSet<string>();

    /// <summary>Elements of the undivided net's parameters.</summary>
    public virtual long ParameterCount => Shards().Sum(shard => shard.GlobalShape.Aggregate(1L, (product, size) => product * size));

    /// <summary>
    /// The undivided net as a sequence of units that, run one after the other, are its <c>forward</c>; empty where it is none.
    /// </summary>
    public virtual IReadOnlyList<NetworkUnit> Units => [];

    /// <summary>
    /// How much each auxiliary head's loss adds to the main one while training, in the order of <see cref="Outputs"/>; empty without heads.
    /// </summary>
    public virtual IReadOnlyList<double> AuxiliaryWeights => [];

    /// <summary>Whether kernels of our own can take the place of libtorch's operators in some layer.</summary>
    public bool HasKernels => modules().OfType<IKernelLayer>().Any();

    /// <summary>Has all such layers take them, or leave them.</summary>
    public void UseKernels(bool used)
    {
        foreach (var layer in modules().OfType<IKernelLayer>())
            layer.UsesKernel = used;
    }

    /// <summary>
    /// The logits that <c>call</c> gives and, while training, those of each auxiliary head after them, all (N, classes). The loss to train
    /// with is loss(outputs[0]) + Σ <see cref="AuxiliaryWeights"/>[i] · loss(outputs[i + 1]); outside training there is one output.
    /// </summary>
    /// <remarks>A net with heads overrides this, and its <c>forward</c> returns the first of them.</remarks>
    public virtual IReadOnlyList<Tensor> Outputs(Tensor images) => [call(images)];

    /// <summary>The part of the undivided net's tensor that <paramref name="parameter"/> is.</summary>
    protected ParameterShard ShardOf(string name, Parameter parameter)
    {
        var local = parameter.shape;
        return Split.Divides(name)
            ? new(name, [Split.Parts * local[0], .. local[1..]], local, FirstRow: Split.Part * local[0])
            : new(name, local, local, FirstRow: 0);
    }

    /// <summary>
    /// What the convolutions leave, as the fully connected layers need it: all channels, and where samples are divided all samples.
    /// </summary>
    protected Tensor JoinMaps(Tensor maps)
    {
        if (Split.GatherSamples is not { } gatherSamples)
            return Split.Gather(maps);
        Position.FirstSample = 0; // from here on this part sees the global batch
        return gatherSamples(maps);
    }

    /// <summary>
    /// Overwrites every parameter as <paramref name="rule"/> says; the values depend on the seed, the name and the element alone.
    /// </summary>
    protected void Initialize(Func<ParameterShard, Distribution> rule)
    {
        if (Position.ParametersFollow)
            return;
        foreach (var (name, parameter) in named_parameters())
        {
            var shard = ShardOf(name, parameter);
            SeededInitialization.Fill(parameter, shard, rule(shard), Position.Seed);
        }
    }
}

/// <summary>Square images in, class scores out.</summary>
public sealed record ClassifierShape(int Channels, int InputSize, int Classes);

/// <summary>
/// Rows [<paramref name="FirstRow"/>, FirstRow + LocalShape[0]) of the global tensor <paramref name="Name"/>; the other dims are whole.
/// </summary>
/// <param name="Name">Name in the state dict of the undivided net.</param>
/// <param name="GlobalShape">Shape in the undivided net.</param>
/// <param name="LocalShape">Shape held here.</param>
/// <param name="FirstRow">Offset along dim 0.</param>
public sealed record ParameterShard(string Name, IReadOnlyList<long> GlobalShape, IReadOnlyList<long> LocalShape, long FirstRow);
