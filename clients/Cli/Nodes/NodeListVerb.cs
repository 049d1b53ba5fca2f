using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>node list: the machines with what is free on them.</summary>
internal static class NodeListVerb
{
    public static Command Build(VerbFactory verbs) =>
        verbs.Verb("list", "List the machines, their devices and data sets.", async (context, cancellationToken) =>
        {
            var listed = await context.Connection.Nodes.ListNodesAsync(new ListNodesRequest(), context.Connection.Call(cancellationToken));
            if (context.Json)
                await context.Output.DocumentAsync(listed);
            else
                await context.Output.BlockAsync(Table(listed.Nodes).Render(context.Output.IsTerminal ? context.Output.Width : null));
            return ExitCode.Done;
        });

    private static ColumnTable Table(IEnumerable<Node> nodes)
    {
        var table = new ColumnTable("NODE", "NAME", "STATE", "DEVICES", "FREE", "JOBS", "DATA", "LABELS");
        foreach (var node in nodes)
        {
            table.Add(
                Words.Short(node.Id), node.Name, node.State.ToString().ToLowerInvariant(), Devices(node),
                $"{node.Devices.Count(device => device.JobId.Length == 0)}/{node.Devices.Count}",
                string.Join(",", node.Devices.Select(device => device.JobId).Where(id => id.Length > 0).Distinct().Select(Words.Short)),
                string.Join(",", node.DataSets),
                string.Join(",", node.Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}")));
        }

        return table;
    }

    // "2×cuda NVIDIA H200" or "1×cpu (2 cores)": kinds are never so many that they need lines of their own.
    private static string Devices(Node node) => string.Join(", ", node.Devices
        .GroupBy(status => (status.Device.Kind, status.Device.Model, status.Device.Cores))
        .Select(group => group.Key.Kind == DeviceKind.Cpu
            ? $"{group.Count()}×cpu ({group.Key.Cores} {(group.Key.Cores == 1 ? "core" : "cores")})"
            : $"{group.Count()}×{group.Key.Kind.ToString().ToLowerInvariant()} {group.Key.Model}".TrimEnd()));
}
