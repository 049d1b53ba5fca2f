using System.Collections.Immutable;
using Cluster.Placement.Running;

namespace Cluster.Placement;

/// <summary>A job that waits for devices.</summary>
/// <param name="Priority">A larger number comes first.</param>
/// <param name="Age">When it was submitted; a restart keeps its place.</param>
/// <param name="NotBefore">It waits until then after a failure; null: it may start.</param>
/// <param name="Avoid">Nodes that failed it last; taken only if there is no other way.</param>
public sealed record WaitingJob(
    JobKey Id, QueueKey Queue, DeviceNeed Need, int Priority, DateTimeOffset Age, DateTimeOffset? NotBefore, IReadOnlySet<NodeKey> Avoid)
{
    /// <summary>Whose limit its devices count in.</summary>
    public string Owner { get; init; } = "";

    /// <summary>How long it runs; null: not known, and it may run for ever.</summary>
    public ExpectedRuntime? Runtime { get; init; }

    /// <summary>
    /// After a failure: the devices that it had, in rank order. It starts on them again before anybody else gets them, though it avoids
    /// their nodes otherwise.
    /// </summary>
    public ImmutableArray<GrantedDevice> Own { get; init; } = [];

    /// <summary>Jobs for which it was preempted: it preempts none of them in its turn.</summary>
    public ImmutableHashSet<JobKey> YieldedTo { get; init; } = [];

    /// <summary>Whether it waits out its pause after a failure.</summary>
    public bool Pauses(DateTimeOffset now) => NotBefore > now;

    /// <summary>When it has ended if it starts now.</summary>
    internal DateTimeOffset EndIfStarted(DateTimeOffset now) => Runtime is { } runtime ? now + runtime.Late : DateTimeOffset.MaxValue;
}

/// <summary>Who comes first: priority, a larger number first; then age; then id, so that every scheduler sorts alike.</summary>
public sealed class QueueOrder : IComparer<WaitingJob>
{
    public static QueueOrder Instance { get; } = new();

    public int Compare(WaitingJob? x, WaitingJob? y)
    {
        var byPriority = y!.Priority.CompareTo(x!.Priority);
        if (byPriority != 0)
            return byPriority;
        var byAge = x.Age.CompareTo(y.Age);
        return byAge != 0 ? byAge : x.Id.Value.CompareTo(y.Id.Value);
    }
}
