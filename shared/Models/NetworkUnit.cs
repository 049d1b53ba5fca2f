using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models;

/// <summary>One of the consecutive pieces of a net between which a pipeline may cut it: one tensor goes in, one comes out.</summary>
/// <param name="Modules">Dotted names, in the net, of the modules that it alone consists of.</param>
/// <param name="Forward">(N, …) → (N, …). Leaves its input as it is, since the unit before may still need it.</param>
public sealed record NetworkUnit(IReadOnlyList<string> Modules, Func<Tensor, Tensor> Forward)
{
    /// <summary>One unit after the other.</summary>
    public static Tensor Run(IReadOnlyList<NetworkUnit> units, Tensor input) => units.Aggregate(input, (x, unit) => unit.Forward(x));

    /// <summary>Every module of a sequence by itself: blocks.</summary>
    /// <param name="name">The sequence's, in the net.</param>
    /// <param name="sequence">Of modules that leave their input as it is.</param>
    public static IEnumerable<NetworkUnit> Blocks(string name, Sequential sequence) =>
        sequence.named_children().Select(child => new NetworkUnit([$"{name}.{child.name}"], ((Layer)child.module).call));

    /// <summary>
    /// The layers of a sequence, each convolution or fully connected layer with what follows it: what rectifies in place stays with the
    /// layer whose output that is.
    /// </summary>
    /// <param name="name">The sequence's, in the net.</param>
    /// <param name="sequence">Of single layers.</param>
    /// <param name="before">Of what comes in, such as flattening; part of the first unit.</param>
    public static IEnumerable<NetworkUnit> Layers(string name, Sequential sequence, Func<Tensor, Tensor>? before = null)
    {
        var groups = new List<List<(string Name, Layer Layer)>> { new() };
        foreach (var (child, module) in sequence.named_children())
        {
            if (IsWeighted(module) && groups[^1].Exists(member => IsWeighted(member.Layer)))
                groups.Add([]);
            groups[^1].Add(($"{name}.{child}", (Layer)module));
        }

        foreach (var (i, group) in groups.Index())
        {
            var layers = nn.Sequential(group.Select(member => member.Layer)); // drops what lies between them, as the whole sequence does
            yield return new NetworkUnit(
                [.. group.Select(member => member.Name)], i == 0 && before is not null ? x => layers.call(before(x)) : layers.call);
        }
    }

    private static bool IsWeighted(nn.Module layer) => layer is Convolution or Linear;
}
