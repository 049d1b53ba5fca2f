using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;

namespace Cluster.Dashboard.Nodes;

/// <summary>All nodes, by name.</summary>
internal static class NodeList
{
    public static async Task<IReadOnlyList<Node>> ReadAsync(Caller caller, CancellationToken cancellationToken)
    {
        var nodes = new List<Node>();
        var request = new ListNodesRequest();
        do
        {
            var page = await caller.Nodes.ListNodesAsync(request, await caller.CallAsync(cancellationToken));
            nodes.AddRange(page.Nodes);
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        return nodes;
    }

    /// <summary>"ready", "lost", "draining" while jobs still run there, then "drained"; "lost, drained".</summary>
    public static string Standing(Node node) => (node.State, node.Drain is not null) switch
    {
        (NodeState.Ready, true) => node.Devices.Any(device => device.IsHeld()) ? "draining" : "drained",
        (NodeState.Lost, true) => "lost, drained",
        (NodeState.Lost, false) => "lost",
        _ => "ready",
    };
}
