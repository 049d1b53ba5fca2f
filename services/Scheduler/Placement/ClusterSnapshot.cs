using System.Collections.Immutable;
using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;

namespace Cluster.Scheduler.Placement;

/// <summary>The cluster at one moment: all that a decision may depend on.</summary>
internal sealed record ClusterSnapshot(DateTimeOffset TakenAt, IReadOnlyList<NodeCapacity> Nodes, IReadOnlyList<WaitingJob> Waiting);

/// <summary>A node as placement sees it.</summary>
/// <param name="Epoch">Goes with each grant, so that one made on an old picture is recognised.</param>
/// <param name="All">Every device that it has registered, by kind.</param>
/// <param name="Free">Those that may be given out now, lowest number first; none while the node is lost or not clean.</param>
internal sealed record NodeCapacity(
    NodeId Id,
    string Name,
    long Epoch,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlySet<string> DataSets,
    IReadOnlyDictionary<DeviceKind, int> All,
    IReadOnlyDictionary<DeviceKind, IReadOnlyList<string>> Free)
{
    public NodeMemory Memory { get; init; } = NodeMemory.Unknown;

    /// <summary>Since when the node is lost; null while it is there.</summary>
    public DateTimeOffset? LostAt { get; init; }

    /// <param name="held">Devices that are granted, with the bytes of CPU memory that the rank on each is expected to take (0: not
    /// known).</param>
    public static NodeCapacity Of(NodeRow row, IReadOnlyDictionary<string, long> held)
    {
        var cpu = row.Devices.Where(d => d.Kind == DeviceKind.Cpu).ToList();
        var cpuBytes = cpu.Sum(d => d.MemoryBytes);
        var usable = row is { State: NodeState.Ready, Clean: true };
        return new NodeCapacity(
            new NodeId(row.Id), row.Name, row.Epoch, row.Labels, row.DataSets.ToHashSet(),
            row.Devices.GroupBy(d => d.Kind).ToDictionary(g => g.Key, g => g.Count()),
            row.Devices.Where(d => usable && !held.ContainsKey(d.Id)).GroupBy(d => d.Kind)
                .ToDictionary(g => g.Key,
                    IReadOnlyList<string> (g) => [.. g.Select(d => d.Id).OrderBy(Number).ThenBy(id => id, StringComparer.Ordinal)]))
        {
            LostAt = row.LostAt,
            Memory = new NodeMemory(
                cpuBytes, cpuBytes - cpu.Sum(d => held.GetValueOrDefault(d.Id)),
                row.Devices.Where(d => d.Kind == DeviceKind.Cuda).ToImmutableDictionary(d => d.Id, d => d.MemoryBytes)),
        };
    }

    /// <summary>How many ranks of so many bytes its devices of that kind could hold, were all of them free.</summary>
    /// <param name="rankBytes">0: not known.</param>
    public int Count(DeviceKind kind, long rankBytes)
    {
        var devices = All.GetValueOrDefault(kind);
        return kind == DeviceKind.Cpu
            ? (int)Math.Min(devices, Memory.CpuRanks(Memory.Cpu, rankBytes))
            : devices - Memory.Gpus.Count(gpu => !Memory.Holds(gpu.Key, rankBytes));
    }

    /// <summary>The N of "cuda:N", so that 10 comes after 9.</summary>
    private static int Number(string device) =>
        int.TryParse(device.AsSpan(device.IndexOf(':', StringComparison.Ordinal) + 1), NumberStyles.None, CultureInfo.InvariantCulture,
            out var number) ? number : int.MaxValue;
}

/// <summary>A queued job as placement sees it.</summary>
/// <param name="Age">When it was submitted; a restart keeps its place.</param>
/// <param name="NotBefore">It waits until then after a failure; null: it may start.</param>
/// <param name="Avoid">Nodes that failed it last; taken only if there is no other way.</param>
/// <param name="Reason">Why it was queued last.</param>
internal sealed record WaitingJob(
    JobId Id, DeviceNeed Need, int Priority, DateTimeOffset Age, DateTimeOffset? NotBefore, IReadOnlySet<NodeId> Avoid, string Reason);
