using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.Summary;

/// <summary>A network layer by layer, with what each costs, found by sending one image through it.</summary>
/// <param name="Layers">Those with parameters of their own, in the order in which they ran.</param>
/// <param name="Parameters">Trainable, of the whole net.</param>
/// <param name="MultiplyAdds">Of convolutions and fully connected layers for one image, without heads that only training has.</param>
public sealed record NetworkSummary(IReadOnlyList<LayerSummary> Layers, long Parameters, long MultiplyAdds)
{
    /// <summary>Runs <paramref name="network"/> in evaluation mode and leaves it as it was. Its parameters may hold anything.</summary>
    public static NetworkSummary Of(ImageClassifier network)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var layers = new List<LayerSummary>();
        var removals = new List<Action>();
        var trained = network.training;
        network.eval();
        try
        {
            foreach (var (name, module) in network.named_modules())
            {
                if (module is not nn.Module<Tensor, Tensor> layer || !layer.named_parameters(recurse: false).Any())
                    continue;
                var hook = layer.register_forward_hook((_, _, output) =>
                {
                    layers.Add(Summarize(name, layer, output));
                    return output;
                });
                removals.Add(hook.remove);
            }

            var shape = network.Shape;
            var parameter = network.parameters().First();
            network.call(zeros(1, shape.Channels, shape.InputSize, shape.InputSize, parameter.dtype, parameter.device));
        }
        finally
        {
            removals.ForEach(remove => remove());
            network.train(trained);
        }

        return new NetworkSummary(layers, network.parameters().Sum(p => p.numel()), layers.Sum(layer => layer.MultiplyAdds));
    }

    private static LayerSummary Summarize(string name, nn.Module<Tensor, Tensor> layer, Tensor output)
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
public sealed record LayerSummary(string Name, string Kind, IReadOnlyList<long> OutputShape, long Parameters, long MultiplyAdds);
