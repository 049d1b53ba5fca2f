using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Placement;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>Snapshots in a few words.</summary>
internal static class ClusterBuilder
{
    public static readonly TimeSpan LongestHold = new PlacementOptions().LongestHold;
    public static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static NodeCapacity ANode(
        string name, int free = 0, int busy = 0, DeviceKind kind = DeviceKind.Cpu, string[]? dataSets = null,
        Dictionary<string, string>? labels = null, long bytes = 0, long freeBytes = 0, DateTimeOffset? lostAt = null)
    {
        var prefix = kind == DeviceKind.Cuda ? "cuda" : "cpu";
        return new NodeCapacity(
            NodeId.New(), name, 1, labels ?? [], (dataSets ?? ["fashion-mnist"]).ToHashSet(),
            new Dictionary<DeviceKind, int> { [kind] = free + busy },
            new Dictionary<DeviceKind, IReadOnlyList<string>> { [kind] = [.. Enumerable.Range(busy, free).Select(i => $"{prefix}:{i}")] })
        {
            LostAt = lostAt,
            // Of a GPU node each device has all of it.
            Memory = kind == DeviceKind.Cuda
                ? new NodeMemory(0, 0, Enumerable.Range(0, free + busy).ToImmutableDictionary(i => $"cuda:{i}", _ => bytes))
                : new NodeMemory(bytes, freeBytes, []),
        };
    }

    /// <summary>Jobs are older the earlier they are made.</summary>
    public static WaitingJob AJob(
        int devices, DeviceKind kind = DeviceKind.Cpu, int maxPerNode = 0, int priority = 0, Dictionary<string, string>? labels = null,
        string dataSet = "fashion-mnist", DateTimeOffset? notBefore = null, NodeId[]? avoid = null, int age = 0,
        long rankBytes = 0) =>
        new(JobId.New(), new DeviceNeed(devices, kind, maxPerNode, labels ?? [], dataSet, new RankMemory(rankBytes, rankBytes)), priority,
            Now - TimeSpan.FromSeconds(age), notBefore, (avoid ?? []).ToHashSet(), "why it was queued");

    public static IReadOnlyList<PlacementDecision> Decide(NodeCapacity[] nodes, params WaitingJob[] jobs) =>
        GangPlacement.Decide(new ClusterSnapshot(Now, nodes, jobs), jobs, LongestHold);

    /// <summary>"node-a/cpu:0" of each rank; null when the job waits.</summary>
    public static string[]? Devices(this PlacementDecision decision) =>
        decision is PlacementDecision.Placed placed ? [.. placed.Ranks.Select(r => $"{r.NodeName}/{r.Device}")] : null;

    public static PlacementDecision.Waits Waiting(this PlacementDecision decision) => decision.ShouldBeOfType<PlacementDecision.Waits>();
}
