using System.Collections.Immutable;
using Cluster.Placement.Preemption;
using Cluster.Placement.Running;

namespace Cluster.Placement;

/// <summary>What one cycle has decided.</summary>
/// <param name="Starts">Who gets which devices, first come first.</param>
/// <param name="Waiting">Why the others wait: one entry for all jobs of a queue and a shape.</param>
/// <param name="BackingOff">How many of each queue wait out a pause after a failure; a queue without any is left out.</param>
public sealed record PlacementPlan(
    ImmutableArray<JobStart> Starts, ImmutableArray<WaitingShape> Waiting, IReadOnlyDictionary<QueueKey, int> BackingOff)
{
    /// <summary>Who is to give up all its devices, for whom, and what that loses.</summary>
    public ImmutableArray<PreemptedJob> Preemptions { get; init; } = [];

    /// <summary>Who is to go on with fewer devices or with more.</summary>
    public ImmutableArray<JobResize> Resizes { get; init; } = [];

    /// <summary>Who is promised a start later on.</summary>
    public ImmutableArray<Reservation> Reservations { get; init; } = [];

    /// <summary>Queues whose use beyond their quota, wanted by others, is another one from now on.</summary>
    public ImmutableArray<ClusterChange.QueueUsed> Uses { get; init; } = [];
}

/// <param name="Ranks">In rank order, ranks of one node next to each other.</param>
public sealed record JobStart(JobKey Job, ImmutableArray<PlannedRank> Ranks)
{
    /// <summary>What becomes of the job when the plan is carried out.</summary>
    /// <param name="memory">What each of its ranks is expected to take.</param>
    public ClusterChange Granted(RankMemory memory) => Granted(memory, null);

    /// <inheritdoc cref="Granted(RankMemory)"/>
    /// <param name="facts">What is known of it from then on.</param>
    public ClusterChange.JobGranted Granted(RankMemory memory, RunningFacts? facts) =>
        new(Job, memory, [.. Ranks.Select(rank => new GrantedDevice(rank.Node, rank.Device))]) { Facts = facts };
}

/// <param name="NodeEpoch">The node's, when it was chosen.</param>
public readonly record struct PlannedRank(NodeKey Node, string NodeName, long NodeEpoch, string Device);

/// <param name="Shape">As <see cref="DeviceNeed.Shape"/>.</param>
/// <param name="Jobs">How many jobs wait so.</param>
public sealed record WaitingShape(QueueKey Queue, string Shape, WaitReason Reason, int Jobs);

/// <summary>A job that goes on with other devices: it restarts from its newest checkpoint.</summary>
/// <param name="From">How many it has.</param>
/// <param name="Keeps">Of those that it has.</param>
/// <param name="Gains">Free ones; empty if it is shrunk.</param>
/// <param name="For">Who is to have those that it does not keep; null if it grows.</param>
/// <param name="LostDeviceSeconds">Work that is lost with it, if it writes no checkpoint more.</param>
public sealed record JobResize(
    JobKey Job, int From, ImmutableArray<GrantedDevice> Keeps, ImmutableArray<PlannedRank> Gains, JobKey? For, double LostDeviceSeconds)
{
    /// <summary>Of one that is shrunk.</summary>
    public PreemptionCause Cause { get; init; }

    /// <summary>Those that it goes on with, in rank order: ranks of one node next to each other.</summary>
    public ImmutableArray<GrantedDevice> Next =>
    [
        .. Keeps.Concat(Gains.Select(rank => new GrantedDevice(rank.Node, rank.Device))).GroupBy(device => device.Node)
            .SelectMany(same => same),
    ];

    /// <summary>"shrinks from 4 devices to 2 for job …, which has a higher priority in the same queue".</summary>
    public string Words => For is { } other
        ? $"shrinks from {From} devices to {Keeps.Length} for job {other}, {PreemptedJob.Why(Cause)}"
        : $"grows from {From} {(From == 1 ? "device" : "devices")} to {Keeps.Length + Gains.Length}, "
            + "since others are idle and nobody waits for them";
}

/// <summary>A start that nobody behind the job delays.</summary>
/// <param name="At">When the devices are expected to be free.</param>
public sealed record Reservation(JobKey Job, QueueKey Queue, DateTimeOffset At, ImmutableArray<ReservedRanks> Ranks);

/// <param name="Count">So many devices of the node, whichever.</param>
public readonly record struct ReservedRanks(NodeKey Node, int Count);
