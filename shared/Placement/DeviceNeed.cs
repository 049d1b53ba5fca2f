using System.Collections.Immutable;
using System.Globalization;

namespace Cluster.Placement;

/// <summary>What a job asks of the cluster: the part of its spec that placement looks at.</summary>
/// <param name="Devices">All of them or none, unless <see cref="MinDevices"/> says otherwise.</param>
/// <param name="Only">Null leaves open which class; never a mixture.</param>
/// <param name="MaxPerNode">0: no limit.</param>
/// <param name="Labels">Each of them must be on a node.</param>
/// <param name="DataSet">A node must have it; empty: none is needed.</param>
/// <param name="Memory">What each rank is expected to take.</param>
public sealed record DeviceNeed(
    int Devices, DeviceClass? Only, int MaxPerNode, IReadOnlyDictionary<string, string> Labels, string DataSet, RankMemory Memory)
{
    private static readonly ImmutableArray<DeviceClass> OnlyCpu = [DeviceClass.Cpu];
    private static readonly ImmutableArray<DeviceClass> OnlyCuda = [DeviceClass.Cuda];
    private static readonly ImmutableArray<DeviceClass> Either = [DeviceClass.Cuda, DeviceClass.Cpu];

    /// <summary>It runs with so many as well, or any number between; 0: with all of them only.</summary>
    public int MinDevices { get; init; }

    /// <summary>Nodes that it never runs on, whatever they have.</summary>
    public IReadOnlySet<NodeKey> Excluded { get; init; } = ImmutableHashSet<NodeKey>.Empty;

    /// <summary>The fewest that it runs with.</summary>
    public int Fewest => MinDevices > 0 ? Math.Min(MinDevices, Devices) : Devices;

    /// <summary>The classes that it may be given, the preferred one first.</summary>
    public ImmutableArray<DeviceClass> Kinds => Only switch
    {
        DeviceClass.Cpu => OnlyCpu,
        DeviceClass.Cuda => OnlyCuda,
        _ => Either,
    };

    /// <summary>Two jobs of the same shape can be placed on the same devices, and wait for the same.</summary>
    public string Shape() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Devices}|{Only}|{MaxPerNode}|{Memory.Cpu}|{Memory.Gpu}|{Text.Counted(DataSet)}|{Text.Counted(Labels)}{Elastic()}{Excluding()}");

    /// <summary>The same with the fewest that it runs with.</summary>
    internal DeviceNeed AtFewest() => Fewest == Devices ? this : this with { Devices = Fewest, MinDevices = 0 };

    /// <summary>How many of <paramref name="count"/> devices on one node count.</summary>
    internal int Capped(int count) => MaxPerNode > 0 ? Math.Min(MaxPerNode, count) : count;

    /// <summary>"cpu device", "cuda devices", "devices of one kind".</summary>
    internal string Noun(int count) => (Only, count) switch
    {
        (DeviceClass.Cpu, 1) => "cpu device",
        (DeviceClass.Cpu, _) => "cpu devices",
        (DeviceClass.Cuda, 1) => "cuda device",
        (DeviceClass.Cuda, _) => "cuda devices",
        (_, 1) => "device",
        _ => "devices of one kind",
    };

    private string Excluding() => Excluded.Count == 0 ? "" : $"|!{string.Join(',', Excluded.Select(node => node.Value).Order())}";

    private string Elastic() => MinDevices > 0 ? string.Create(CultureInfo.InvariantCulture, $"|{MinDevices}..") : "";
}
