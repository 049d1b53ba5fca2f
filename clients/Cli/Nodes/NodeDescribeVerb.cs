using System.CommandLine;
using System.Globalization;
using System.Text;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>node describe NODE: all of its devices with their health, data sets and labels, of which the list names only some.</summary>
internal static class NodeDescribeVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var node = new Argument<string>("NODE") { Description = "a node's name, its id or the beginning of it (see ./cluster node list)" };
        var command = verbs.Verb(
            "describe", "Show a machine's devices with their health, its data sets and labels.", async (context, cancellationToken) =>
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
        Add("state", NodeStates.Of(node));
        if (node.Drain is { } drain)
            Add("drained", NodeStates.Describe(drain));
        Add("agent", node.AgentVersion);
        Add("registered", Words.Clock(node.RegisteredAt));
        AddAll("devices", Devices(node).Render(null).Split('\n'));
        if (node.Devices.Any(status => status.Gpu is not null))
            AddAll("gpu health", Health(node).Render(null).Split('\n'));
        AddAll("data sets", node.DataSets);
        AddAll("labels", NodeLabels.Of(node));
        return text.ToString();

        void Add(string name, string value) => text.Append($"{name,-12}").Append(Printable.OneLine(value)).Append('\n');

        void AddAll(string name, IEnumerable<string> lines)
        {
            var some = lines.Where(line => line.Length > 0).DefaultIfEmpty("none");
            text.Append('\n').Append(name).Append('\n');
            foreach (var line in some)
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
                status.HasUtilization ? Words.Percent(status.Utilization) : "",
                NodeJobs.Holder(status));
        }

        return table;
    }

    private static ColumnTable Health(Node node)
    {
        var table = new ColumnTable("DEVICE", "TEMPERATURE", "POWER", "MEMORY USED", "MEMORY ERRORS", "FAULTS");
        foreach (var status in node.Devices.Where(status => status.Gpu is not null))
        {
            var gpu = status.Gpu;
            table.Add(
                status.Device.Id,
                gpu.HasTemperatureCelsius ? string.Create(CultureInfo.InvariantCulture, $"{gpu.TemperatureCelsius:F0} °C") : "",
                gpu.HasPowerWatts ? string.Create(CultureInfo.InvariantCulture, $"{gpu.PowerWatts:F0} W") : "",
                gpu.HasUsedMemoryBytes ? Words.Bytes(gpu.UsedMemoryBytes) : "", Errors(gpu), Faults(gpu));
        }

        return table;
    }

    private static string Errors(GpuHealth gpu) => string.Join(", ", new[]
    {
        gpu.HasUncorrectedErrors ? $"{gpu.UncorrectedErrors} uncorrected" : "",
        gpu.HasCorrectedErrors ? $"{gpu.CorrectedErrors} corrected" : "",
    }.Where(count => count.Length > 0));

    // "XID 79, XID 31 (3 times)", "XID 79, no answer for 45s".
    private static string Faults(GpuHealth gpu)
    {
        var faults = gpu.Xids.OrderBy(xid => xid.Key).Select(xid => $"XID {xid.Key}{(xid.Value == 1 ? "" : $" ({xid.Value} times)")}");
        if (gpu.Unanswered is { } silence)
            faults = faults.Append($"no answer for {Words.Length(silence.ToTimeSpan())}");
        return string.Join(", ", faults.DefaultIfEmpty("none"));
    }
}
