using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Inception;

/// <summary>
/// A net of the Inception line: stages in a row, a global average, dropout and one fully connected layer; auxiliary heads on some stages'
/// maps.
/// </summary>
/// <remarks>
/// (N, channels, inputSize, inputSize) → (N, classes). What differs between the nets is their list of <see cref="Stages"/>. torchvision's
/// <c>transform_input</c>, which renormalises images for weights ported from TensorFlow, is left out: it is false there unless such weights
/// are asked for.
/// </remarks>
public sealed class InceptionClassifier : ImageClassifier
{
    private readonly Stages stages;
    private readonly double auxiliaryWeight;
    private readonly AdaptiveAvgPool2d avgpool = nn.AdaptiveAvgPool2d(1);
    private readonly CounterDropout dropout;
    private readonly Linear fc;

    internal InceptionClassifier(
        string name, ClassifierShape shape, Stages stages, double dropout, double auxiliaryWeight, Func<ParameterShard, Distribution> init,
        StepPosition position)
        : base(name, shape, position)
    {
        (this.stages, this.auxiliaryWeight) = (stages, auxiliaryWeight);
        foreach (var (stage, layer, head) in stages.All)
        {
            register_module(stage, layer);
            if (head is { } auxiliary)
                register_module(auxiliary.Name, auxiliary.Layer);
        }

        this.dropout = new CounterDropout("dropout", dropout, stages.Channels, 0, position);
        fc = nn.Linear(stages.Channels, shape.Classes, dtype: stages.Style.Dtype);
        RegisterComponents();
        Initialize(init);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<double> AuxiliaryWeights =>
        [.. stages.All.Where(stage => stage.Head is not null).Select(_ => auxiliaryWeight)];

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => Outputs(input)[0];

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Outputs(Tensor images)
    {
        var x = images;
        var auxiliary = new List<Tensor>();
        foreach (var (_, layer, head) in stages.All)
        {
            x = layer.call(x); // the shapes stand beside each net's stages
            if (training && head is { } side)
                auxiliary.Add(side.Layer.call(x));
        }

        var logits = fc.call(dropout.call(avgpool.call(x).flatten(1))); // N×C×h×w → N×C → N×classes
        return [logits, .. auxiliary];
    }
}
