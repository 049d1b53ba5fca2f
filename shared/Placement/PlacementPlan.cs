using System.Collections.Immutable;

namespace Cluster.Placement;

/// <summary>What one cycle has decided.</summary>
/// <param name="Starts">Who gets which devices, first come first.</param>
/// <param name="Waiting">Why the others wait: one entry for all jobs of a queue and a shape.</param>
/// <param name="BackingOff">How many wait out a pause after a failure.</param>
public sealed record PlacementPlan(ImmutableArray<JobStart> Starts, ImmutableArray<WaitingShape> Waiting, int BackingOff);

/// <param name="Ranks">In rank order, ranks of one node next to each other.</param>
public sealed record JobStart(JobKey Job, ImmutableArray<PlannedRank> Ranks)
{
    /// <summary>What becomes of the job when the plan is carried out.</summary>
    /// <param name="memory">What each of its ranks is expected to take.</param>
    public ClusterChange Granted(RankMemory memory) =>
        new ClusterChange.JobGranted(Job, memory, [.. Ranks.Select(rank => new GrantedDevice(rank.Node, rank.Device))]);
}

/// <param name="NodeEpoch">The node's, when it was chosen.</param>
public readonly record struct PlannedRank(NodeKey Node, string NodeName, long NodeEpoch, string Device);

/// <param name="Shape">As <see cref="DeviceNeed.Shape"/>.</param>
/// <param name="Jobs">How many jobs wait so.</param>
public sealed record WaitingShape(QueueKey Queue, string Shape, WaitReason Reason, int Jobs);
