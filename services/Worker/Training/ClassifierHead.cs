using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Models;

namespace Cluster.Worker.Training;

/// <summary>
/// The tensors of a network that belong to its classes: those whose shape follows from how many there are, auxiliary heads' too.
/// </summary>
internal static class ClassifierHead
{
    /// <summary>Found by building the network with one class more, which no list of names could outdo in exactness.</summary>
    public static IReadOnlySet<string> NamesOf(JobSpec spec)
    {
        var options = TrainingPartitions.OptionsOf(spec.Model);
        var asIs = ShapesOf(spec.Model.Name, options, out var classes);
        var oneMore = ShapesOf(spec.Model.Name, new(options) { [ModelCatalog.Classes] = (long)classes + 1 }, out _);
        return asIs.Where(tensor => !tensor.Value.SequenceEqual(oneMore[tensor.Key])).Select(tensor => tensor.Key)
            .ToHashSet(StringComparer.Ordinal);
    }

    private static Dictionary<string, IReadOnlyList<long>> ShapesOf(string model, Dictionary<string, object> options, out int classes)
    {
        using var network = ModelRegistry.CreateToLoad(model, options);
        classes = network.Shape.Classes;
        var shapes = network.Shards().ToDictionary(shard => shard.Name, shard => shard.GlobalShape);
        foreach (var (name, buffer) in network.Buffers())
            shapes[name] = buffer.shape;
        return shapes;
    }
}
