using System.Collections.Immutable;
using Cluster.Placement;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Bench.Placement;

/// <summary>By which rules a trace is scheduled.</summary>
/// <remarks>All are played by our own Decide, which is told more or less: so what differs is the rule alone.</remarks>
internal sealed record TraceRule(
    string Name, bool HasQueues, bool TellsEnds, bool TellsCheckpoints, bool IsPatient, int VictimSets, int? OwnerLimit)
{
    // Some thousands of jobs wait, and a cluster of 2,000 GPUs may take its time to reckon when they start.
    private const int ForecastWork = 100_000;

    /// <summary>An oracle: it is told how long each job runs, and which fail and when.</summary>
    public bool KnowsRuntimes { get; init; }

    /// <summary>Whether it is asked when jobs start.</summary>
    public bool HasForecasts { get; init; }

    /// <summary>Queues with quotas, reservations, and preemption by least work lost, where waiting would cost more.</summary>
    public static TraceRule Ours { get; } = new("ours", true, true, true, true, 2_000, null)
    {
        HasForecasts = true,
    };

    /// <summary>The same with run times known: what expected starts lack for want of them is the difference.</summary>
    public static TraceRule OursKnowing { get; } = Ours with { Name = "ours, run times known", KnowsRuntimes = true };

    /// <summary>As Kueue: whoever started last is stopped first, and given back where it turns out not to be needed.</summary>
    public static TraceRule NewestFirst { get; } = new("newest first", true, true, false, false, 0, null);

    /// <summary>One line, nobody passes.</summary>
    public static TraceRule Fifo { get; } = new("FIFO", false, false, true, false, 0, null);

    /// <summary>One line, the head reserves, others fill in (Lifka 1995); an owner has an eighth of the cluster at most.</summary>
    public static TraceRule Easy { get; } = new("EASY, user limits", false, true, true, false, 0, 250);

    public static IReadOnlyList<TraceRule> All { get; } = [Ours, OursKnowing, NewestFirst, Easy, Fifo];

    public VirtualCluster Build(Trace trace)
    {
        var policy = new PlacementPolicy(TimeSpan.FromMinutes(10)) { VictimSets = VictimSets, ForecastWork = ForecastWork };
        if (!IsPatient)
            policy = policy with { Patience = TimeSpan.Zero };
        var cluster = new VirtualCluster(policy)
        {
            TellsEnds = TellsEnds,
            TellsCheckpoints = TellsCheckpoints,
            TellsFailures = KnowsRuntimes,
        };
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

        foreach (var (job, at) in trace.Jobs)
            cluster.Submit(Told(job), at);
        return cluster;
    }

    private VirtualJob Told(VirtualJob job)
    {
        // Priorities are a queue's own affair; in one line they would be another rule.
        if (!HasQueues)
            return job with { Terms = job.Terms with { Priority = 0 } };
        if (!KnowsRuntimes)
            return job;
        var runs = job.Work / job.Terms.Need.Devices * (job.Restarts ? 1 : job.FailsAt ?? 1);
        return job with { EndError = 1, LateFactor = 1, Terms = job.Terms with { Runtime = new ExpectedRuntime(runs, runs) } };
    }
}
