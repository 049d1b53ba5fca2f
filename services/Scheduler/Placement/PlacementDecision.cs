using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Placement;

/// <summary>What one cycle decided about one job.</summary>
internal abstract record PlacementDecision(JobId Job)
{
    /// <summary>It gets these devices, in rank order.</summary>
    public sealed record Placed(JobId Job, ImmutableArray<RankDevice> Ranks) : PlacementDecision(Job);

    /// <summary>It waits.</summary>
    /// <param name="Position">1 is the head; 0 while it is not in line, as during its backoff.</param>
    /// <param name="Reason">For what, in words.</param>
    public sealed record Waits(JobId Job, int Position, string Reason) : PlacementDecision(Job);
}
