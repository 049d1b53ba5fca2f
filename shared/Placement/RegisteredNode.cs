using System.Collections.Immutable;

namespace Cluster.Placement;

/// <summary>A node as its agent registered it, and whether it is there.</summary>
/// <param name="Epoch">Goes with each grant, so that one made on an old picture is recognised.</param>
/// <param name="Usable">Its devices may be given out: it is not lost or drained, runs nothing that it should not, and does not shut
/// down.</param>
/// <param name="LostAt">Since when the node is lost; null while it is there.</param>
public sealed record RegisteredNode(
    NodeKey Id,
    string Name,
    long Epoch,
    bool Usable,
    DateTimeOffset? LostAt,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlySet<string> DataSets,
    ImmutableArray<RegisteredDevice> Devices)
{
    /// <summary>Somebody keeps new jobs from it, for nobody knows how long.</summary>
    public bool Drained { get; init; }
}

/// <param name="Id">"cpu:0", "cuda:1".</param>
/// <param name="MemoryBytes">
/// A GPU's own; a CPU device's share of its node's, which all of them use together. 0: not known, and no bound.
/// </param>
public readonly record struct RegisteredDevice(string Id, DeviceClass Kind, long MemoryBytes);
