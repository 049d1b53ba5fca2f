using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Placement;

namespace Cluster.Scheduler.Jobs;

/// <summary>Devices for all ranks of a job's next attempt.</summary>
/// <param name="Ranks">In rank order, from 0.</param>
[GenerateSerializer, Immutable, Alias("cluster.StartAttempt")]
public sealed record StartAttempt([property: Id(0)] ImmutableArray<RankDevice> Ranks)
{
    internal static StartAttempt Of(JobStart start) =>
        new([.. start.Ranks.Select(rank => new RankDevice(new NodeId(rank.Node.Value), rank.NodeName, rank.NodeEpoch, rank.Device))]);
}

/// <summary>One rank's device.</summary>
/// <param name="NodeEpoch">
/// The node's epoch when it was chosen. A lost lease or a restarted agent raises it; then what was granted before is gone.
/// </param>
[GenerateSerializer, Immutable, Alias("cluster.RankDevice")]
public sealed record RankDevice(
    [property: Id(0)] NodeId Node,
    [property: Id(1)] string NodeName,
    [property: Id(2)] long NodeEpoch,
    [property: Id(3)] string Device);
