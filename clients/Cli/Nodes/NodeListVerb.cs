using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>node list: the machines with what is free on them.</summary>
internal static class NodeListVerb
{
    // A node may have dozens of data sets; node describe names them all.
    private const int LongestCell = 40;

    public static Command Build(VerbFactory verbs) => verbs.Table(
        "list", "List the machines, with what is free on them; node describe tells all of one.", ListAsync,
        (_, listed) => Table(listed.Nodes));

    /// <summary>All of them.</summary>
    public static async Task<ListNodesResponse> ListAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var all = new ListNodesResponse();
        do
        {
            var request = new ListNodesRequest { PageToken = all.NextPageToken };
            var page = await context.Connection.Nodes.ListNodesAsync(request, context.Connection.Call(cancellationToken));
            all.Nodes.AddRange(page.Nodes);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0);

        return all;
    }

    private static ColumnTable Table(IEnumerable<Node> nodes)
    {
        var table = new ColumnTable("NODE", "NAME", "STATE", "DEVICES", "FREE", "JOBS", "DATA", "LABELS");
        foreach (var node in nodes)
        {
            table.Add(
                Words.Short(node.Id), node.Name, NodeStates.Of(node), Devices(node),
                $"{node.Devices.Count(device => !device.IsHeld())}/{node.Devices.Count}",
                Words.Some(NodeJobs.Of(node), LongestCell),
                Words.Some(DataSets(node), LongestCell),
                Words.Some(NodeLabels.Of(node), LongestCell));
        }

        return table;
    }

    // Folders first: who has just copied one there looks for it.
    private static IEnumerable<string> DataSets(Node node) => node.DataSets.OrderBy(name => !name.Contains('/'));

    // "2×cuda NVIDIA H200" or "1×cpu (2 cores)": kinds are never so many that they need lines of their own.
    private static string Devices(Node node) => string.Join(", ", node.Devices
        .GroupBy(status => (status.Device.Kind, status.Device.Model, status.Device.Cores))
        .Select(group => group.Key.Kind == DeviceKind.Cpu
            ? $"{group.Count()}×cpu ({group.Key.Cores} {(group.Key.Cores == 1 ? "core" : "cores")})"
            : $"{group.Count()}×{group.Key.Kind.ToString().ToLowerInvariant()} {group.Key.Model}".TrimEnd()));
}
