using System.CommandLine;
using System.Text;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>node describe NODE: all of its devices, data sets and labels, of which the list names only some.</summary>
internal static class NodeDescribeVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var node = new Argument<string>("NODE") { Description = "a node's name, its id or the beginning of it (see ./cluster node list)" };
        var command = verbs.Verb("describe", "Show a machine's devices, data sets and labels.", async (context, cancellationToken) =>
        {
            var request = new GetNodeRequest { NodeId = context.Arguments.GetRequiredValue(node) };
            var found = await context.Connection.Nodes.GetNodeAsync(request, context.Connection.Call(cancellationToken));
            if (context.Json)
                await context.Output.DocumentAsync(found);
            else
                await context.Output.BlockAsync(Describe(found.Node));
            return ExitCode.Done;
        });
        command.Arguments.Add(node);
        return command;
    }

    private static string Describe(Node node)
    {
        var text = new StringBuilder();
        Add("node", node.Id);
        Add("name", node.Name);
        Add("state", node.State.ToString().ToLowerInvariant());
        Add("agent", node.AgentVersion);
        Add("registered", Words.Clock(node.RegisteredAt));
        AddAll("devices", Devices(node).Render(null).Split('\n'));
        AddAll("data sets", node.DataSets);
        AddAll("labels", NodeLabels.Of(node));
        return text.ToString();

        void Add(string name, string value) => text.Append($"{name,-12}").Append(Printable.OneLine(value)).Append('\n');

        void AddAll(string name, IEnumerable<string> lines)
        {
            text.Append('\n').Append(name).Append('\n');
            foreach (var line in lines.Where(line => line.Length > 0))
                text.Append("  ").Append(Printable.OneLine(line)).Append('\n');
        }
    }

    private static ColumnTable Devices(Node node)
    {
        var table = new ColumnTable("DEVICE", "MODEL", "MEMORY", "USE", "JOB");
        foreach (var status in node.Devices)
        {
            table.Add(
                status.Device.Id, status.Device.Model, Words.Bytes(status.Device.MemoryBytes),
                status.HasUtilization ? Words.Percent(status.Utilization) : "", Words.Short(status.JobId));
        }

        return table;
    }
}
