using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Placement;

/// <summary>What a job asks of the cluster: the part of its spec that placement looks at.</summary>
/// <param name="Devices">All of them or none.</param>
/// <param name="Kind">Never a mixture; <see cref="DeviceKind.Any"/> leaves open which one.</param>
/// <param name="MaxPerNode">0: no limit.</param>
/// <param name="Labels">Each of them must be on a node.</param>
/// <param name="DataSet">A node must have it; empty: none is needed.</param>
/// <param name="Memory">What each rank is expected to take.</param>
internal sealed record DeviceNeed(
    int Devices, DeviceKind Kind, int MaxPerNode, IReadOnlyDictionary<string, string> Labels, string DataSet, RankMemory Memory)
{
    private static readonly DeviceKind[] Either = [DeviceKind.Cuda, DeviceKind.Cpu];

    /// <summary>The kinds that it may be given, the preferred one first.</summary>
    public IReadOnlyList<DeviceKind> Kinds => Kind is DeviceKind.Cpu or DeviceKind.Cuda ? [Kind] : Either;

    /// <summary>"cpu devices", "devices of one kind".</summary>
    public string Noun => Kind switch
    {
        DeviceKind.Cpu => "cpu devices",
        DeviceKind.Cuda => "cuda devices",
        _ => "devices of one kind",
    };

    public static DeviceNeed Of(JobSpec spec, MemoryEstimate? memory) => new(
        spec.Resources?.Devices ?? 0, spec.Resources?.DeviceKind ?? DeviceKind.Any, spec.Resources?.MaxDevicesPerNode ?? 0,
        spec.Resources?.NodeLabels.ToDictionary() ?? [], DataCatalog.AdvertisedName(spec.Data), RankMemory.Of(memory));

    /// <summary>Whether a node with these labels and data sets will do, however many devices it has.</summary>
    public bool Admits(NodeCapacity node) =>
        (DataSet.Length == 0 || node.DataSets.Contains(DataSet))
        && Labels.All(l => node.Labels.TryGetValue(l.Key, out var value) && value == l.Value);

    /// <summary>How many of <paramref name="count"/> devices on one node count.</summary>
    public int Capped(int count) => MaxPerNode > 0 ? Math.Min(MaxPerNode, count) : count;

    /// <summary>Whether the node could, at some time, hold a rank on a device of that kind.</summary>
    public bool CouldUse(NodeCapacity node, DeviceKind kind) => Admits(node) && node.Count(kind, Memory.On(kind)) > 0;

    /// <summary>Two jobs of the same shape can be placed on the same devices.</summary>
    public string Shape() =>
        $"{Devices}|{Kind}|{MaxPerNode}|{Memory.Cpu}|{Memory.Gpu}|{DataSet}|"
        + string.Join(',', Labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}"));
}
