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

    /// <summary>How long it runs with all the devices that it asks for; null: not known, and it may run for ever.</summary>
    public ExpectedRuntime? Runtime { get; init; }

    /// <summary>
    /// After a failure the devices that it had, after it was shrunk or grown those that it is to have, in rank order. It starts on them
    /// before anybody else gets them, though it avoids their nodes otherwise; an elastic job on those of them that are free.
    /// </summary>
    public ImmutableArray<GrantedDevice> Own { get; init; } = [];

    /// <summary>Jobs for which it was preempted: it preempts none of them in its turn.</summary>
    public ImmutableHashSet<JobKey> YieldedTo { get; init; } = [];

    /// <summary>Whether it waits out its pause after a failure.</summary>
    public bool Pauses(DateTimeOffset now) => NotBefore > now;

    /// <summary>How long it runs with so many devices: as much longer as they are fewer.</summary>
    internal ExpectedRuntime? RuntimeWith(int devices) =>
        devices == Need.Devices ? Runtime : Runtime?.Times((double)Need.Devices / devices);

    /// <summary>When it has ended if it starts now, be it with the fewest devices.</summary>
    internal DateTimeOffset EndIfStarted(DateTimeOffset now) =>
        RuntimeWith(Need.Fewest) is { } runtime ? now + runtime.Late : DateTimeOffset.MaxValue;
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
