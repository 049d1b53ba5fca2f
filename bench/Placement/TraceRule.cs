using System.Collections.Immutable;
using Cluster.Placement;
using Cluster.Placement.Queues;

namespace Cluster.Bench.Placement;

/// <summary>By which rules a trace is scheduled.</summary>
/// <remarks>All are played by our own Decide, which is told more or less: so what differs is the rule alone.</remarks>
internal sealed record TraceRule(
    string Name, bool HasQueues, bool TellsEnds, bool TellsCheckpoints, bool IsPatient, int VictimSets, int? OwnerLimit)
{
    /// <summary>Queues with quotas, reservations, and preemption by least work lost, where waiting would cost more.</summary>
    public static TraceRule Ours { get; } = new("ours", true, true, true, true, 2_000, null);

    /// <summary>As Kueue: whoever started last is stopped first, and given back where it turns out not to be needed.</summary>
    public static TraceRule NewestFirst { get; } = new("newest first", true, true, false, false, 0, null);

    /// <summary>One line, nobody passes.</summary>
    public static TraceRule Fifo { get; } = new("FIFO", false, false, true, false, 0, null);

    /// <summary>One line, the head reserves, others fill in (Lifka 1995); an owner has an eighth of the cluster at most.</summary>
    public static TraceRule Easy { get; } = new("EASY, user limits", false, true, true, false, 0, 250);

    public VirtualCluster Build(Trace trace)
    {
        var policy = new PlacementPolicy(TimeSpan.FromMinutes(10)) { VictimSets = VictimSets };
        if (!IsPatient)
            policy = policy with { Patience = TimeSpan.Zero };
        var cluster = new VirtualCluster(policy) { TellsEnds = TellsEnds, TellsCheckpoints = TellsCheckpoints };
        for (var i = 0; i < trace.Nodes; i++)
            cluster.Add(Trace.NodeOf(i));
        foreach (var queue in HasQueues ? trace.Queues : [])
            cluster.Declare(queue);
        if (OwnerLimit is { } limit)
        {
            cluster.Declare(new QueueSpec(QueueKey.Default)
            {
                OwnerLimits = ImmutableDictionary<DeviceClass, int>.Empty.Add(DeviceClass.Cuda, limit),
            });
        }

        // Priorities are a queue's own affair; in one line they would be another rule.
        foreach (var (job, at) in trace.Jobs)
            cluster.Submit(HasQueues ? job : job with { Terms = job.Terms with { Priority = 0 } }, at);
        return cluster;
    }
}
