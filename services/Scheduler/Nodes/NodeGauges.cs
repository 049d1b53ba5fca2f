using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Nodes;

/// <summary>How many nodes and devices are in which state; zero where another scheduler tells.</summary>
internal static class NodeGauges
{
    public static void Clear() => Record(new NodeCounts());

    public static void Record(NodeCounts counts)
    {
        foreach (var (state, nodes) in counts.Nodes)
            SchedulerTelemetry.Nodes.Record(nodes, new KeyValuePair<string, object?>("state", state));
        foreach (var (state, devices) in counts.Devices)
            SchedulerTelemetry.Devices.Record(devices, new KeyValuePair<string, object?>("state", state));
    }
}
