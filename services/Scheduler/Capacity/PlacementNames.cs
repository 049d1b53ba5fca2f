using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Nodes;

namespace Cluster.Scheduler.Capacity;

/// <summary>The scheduler's jobs and nodes in placement's terms; the one place where that is written down.</summary>
internal static class PlacementNames
{
    public static JobKey Key(this JobId job) => new(job.Value);

    public static RankMemory MemoryOf(MemoryEstimate? estimate) =>
        estimate is null ? default : new RankMemory(estimate.Total, estimate.Total - estimate.Process + estimate.GpuOnly);

    /// <param name="excluded">Nodes that the job keeps from for good.</param>
    public static DeviceNeed NeedOf(JobSpec spec, MemoryEstimate? memory, IEnumerable<Guid>? excluded = null) => new(
        spec.Resources?.Devices ?? 0, ClassOf(spec.Resources?.DeviceKind ?? DeviceKind.Any), spec.Resources?.MaxDevicesPerNode ?? 0,
        spec.Resources?.NodeLabels.ToDictionary() ?? [], DataCatalog.AdvertisedName(spec.Data), MemoryOf(memory))
    {
        MinDevices = spec.Resources?.MinDevices ?? 0,
        Excluded = NodesOf(excluded ?? []),
    };

    public static ImmutableHashSet<NodeKey> NodesOf(IEnumerable<Guid> nodes) => [.. nodes.Select(node => new NodeKey(node))];

    /// <summary>A job that would be submitted now.</summary>
    public static WaitingJob NewJob(JobSpec spec, MemoryEstimate? memory, string owner, DateTimeOffset now) => new(
        JobId.New().Key(), QueueKey.Default, NeedOf(spec, memory), spec.Priority, now, null, ImmutableHashSet<NodeKey>.Empty)
    {
        Owner = owner,
    };

    public static RegisteredNode NodeOf(NodeRow row) => new(
        new NodeKey(row.Id), row.Name, row.Epoch, row is { State: NodeState.Ready, Clean: true, Drain: null }, row.LostAt, row.Labels,
        row.DataSets.ToHashSet(), [.. row.Devices.Select(DeviceOf).OfType<RegisteredDevice>()])
    {
        Drained = row.Drain is not null,
    };

    /// <summary>Of a <see cref="DeviceNeed.Shape"/>: as long for every job, whatever it asks for.</summary>
    public static byte[] Digest(string shape) => SHA256.HashData(Encoding.UTF8.GetBytes(shape));

    private static DeviceClass? ClassOf(DeviceKind kind) => kind switch
    {
        DeviceKind.Cpu => DeviceClass.Cpu,
        DeviceKind.Cuda => DeviceClass.Cuda,
        _ => null,
    };

    private static RegisteredDevice? DeviceOf(NodeDevice device) =>
        ClassOf(device.Kind) is { } kind ? new RegisteredDevice(device.Id, kind, device.MemoryBytes) : null;
}
