using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Dashboard.DataSets;

/// <summary>A data set, and who has it.</summary>
/// <param name="Name">As nodes tell it: "cifar-10", "image-folder/my-photos".</param>
/// <param name="Data">What is known of it; null: only its nodes know it.</param>
/// <param name="Nodes">Names of those that are there and have it.</param>
public sealed record DataOffer(string Name, DataDefinition? Data, IReadOnlyList<string> Nodes)
{
    /// <summary>All that jobs can name, whether a node has it or not, and then the folders that nodes have.</summary>
    public static IReadOnlyList<DataOffer> Of(IReadOnlyList<Node> nodes)
    {
        var holders = nodes.Where(node => node.State == NodeState.Ready)
            .SelectMany(node => node.DataSets.Distinct().Select(data => (data, node.Name)))
            .ToLookup(held => held.data, held => held.Name);
        var catalog = DataCatalog.All.Where(data => !data.IsFolder).Select(data => data.Name);
        return
        [
            .. catalog.Concat(holders.Select(held => held.Key).Order(StringComparer.Ordinal)).Distinct()
                .Select(name => new DataOffer(name, Find(name), [.. holders[name].Order(StringComparer.Ordinal)])),
        ];
    }

    // A folder's name comes after that of its form.
    private static DataDefinition? Find(string name) => DataCatalog.TryGet(name.Split('/')[0], out var data) ? data : null;
}
