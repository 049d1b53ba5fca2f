using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

internal static class NodeLabels
{
    /// <summary>"rack=7", by key.</summary>
    public static IEnumerable<string> Of(Node node) =>
        node.Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}");
}
