using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Summary;

/// <summary>A network layer by layer, with what each costs, found by sending one image through it.</summary>
/// <param name="Layers">Convolutions, normalisations, poolings, fully connected layers and dropouts, in the order in which they ran; no
/// activations.</param>
/// <param name="Parameters">Trainable, of the whole net, auxiliary heads included.</param>
/// <param name="MultiplyAdds">Of convolutions and fully connected layers for one image, without auxiliary heads.</param>
public sealed record NetworkSummary(IReadOnlyList<LayerSummary> Layers, long Parameters, long MultiplyAdds)
{
    /// <summary>Runs <paramref name="network"/> in evaluation mode and leaves it as it was. Its parameters may hold anything.</summary>
    public static NetworkSummary Of(ImageClassifier network)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var trained = network.training;
        try
        {
            network.eval();
            var layers = Record(network);
            if (network.AuxiliaryWeights.Count > 0)
                layers = WithHeads(network, layers);
            return new NetworkSummary(
                layers, network.parameters().Sum(p => p.numel()),
                layers.Where(layer => !layer.OnlyInTraining).Sum(layer => layer.MultiplyAdds));
        }
        finally
        {
            network.train(trained);
        }
    }

    /// <summary>Layers that do something else than rectify and have none within.</summary>
    internal static IEnumerable<(string Name, Layer Layer)> LayersOf(ImageClassifier network)
    {
        foreach (var (name, module) in network.named_modules())
        {
            if (module is Layer layer and not (ReLU or Relu6 or Identity) && !layer.children().Any())
                yield return (name, layer);
        }
    }

    /// <summary>
    /// The net itself trains, so that it uses its heads; its layers do not, so that running statistics stay as they are and one image is
    /// enough.
    /// </summary>
    private static List<LayerSummary> WithHeads(ImageClassifier network, List<LayerSummary> evaluated)
    {
        network.train();
        foreach (var child in network.children())
            child.eval();
        var always = evaluated.Select(layer => layer.Name).ToHashSet(StringComparer.Ordinal);
        return [.. Record(network).Select(layer => layer with { OnlyInTraining = !always.Contains(layer.Name) })];
    }

    private static List<LayerSummary> Record(ImageClassifier network)
    {
        var layers = new List<LayerSummary>();
        var removals = new List<Action>();
        try
        {
            foreach (var (name, layer) in LayersOf(network))
            {
                var hook = layer.register_forward_hook((_, _, output) =>
                {
                    layers.Add(Summarize(name, layer, output));
                    return output;
                });
                removals.Add(hook.remove);
            }

            var shape = network.Shape;
            var parameter = network.parameters().First();
            network.Outputs(zeros(1, shape.Channels, shape.InputSize, shape.InputSize, parameter.dtype, parameter.device));
            return layers;
        }
        finally
        {
            removals.ForEach(remove => remove());
        }
    }

    private static LayerSummary Summarize(string name, Layer layer, Tensor output)
    {
        var places = output.numel() / output.shape[1]; // one image: the output's height times width
        var multiplyAdds = layer switch
        {
            Convolution or Linear or LeNet.TableConvolution => places * layer.get_parameter("weight")!.numel(),
            _ => 0,
        };
        var parameters = layer.parameters(recurse: false).Sum(p => p.numel());
        return new LayerSummary(name, layer.GetType().Name, [.. output.shape.Skip(1)], parameters, multiplyAdds);
    }
}

/// <summary>One layer's line.</summary>
/// <param name="Name">Dotted, as in the state dict.</param>
/// <param name="Kind">Its class.</param>
/// <param name="OutputShape">Of one image.</param>
/// <param name="Parameters">Trainable.</param>
/// <param name="MultiplyAdds">For one image.</param>
public sealed record LayerSummary(string Name, string Kind, IReadOnlyList<long> OutputShape, long Parameters, long MultiplyAdds)
{
    /// <summary>Belongs to an auxiliary head, which evaluation leaves out.</summary>
    public bool OnlyInTraining { get; init; }
}
