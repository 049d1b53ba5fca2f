using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Cluster.Scheduler.Telemetry;

/// <summary>The names under which the scheduler's spans and metrics are collected, and its own instruments.</summary>
public static class SchedulerTelemetry
{
    public const string Name = "Cluster.Scheduler";

    private static readonly Meter Meter = new(Name);

    /// <summary>Spans of the scheduler's own work.</summary>
    public static ActivitySource Activities { get; } = new(Name);

    /// <summary>From when a job could start, queued first or again, to its devices' grant.</summary>
    public static Histogram<double> QueueWait { get; } = Meter.CreateHistogram<double>(
        "scheduler.queue.wait.duration", "s", "Time a job waited for its devices.");

    /// <summary>How many jobs wait, by <see cref="Cluster.Placement.WaitCauses.Code"/> ("reason").</summary>
    public static Gauge<int> WaitingJobs { get; } = Meter.CreateGauge<int>(
        "scheduler.queue.jobs", "{job}", "Jobs that wait, by the reason's code.");

    /// <summary>State changes of jobs, by the state that follows ("to").</summary>
    public static Counter<long> Transitions { get; } = Meter.CreateCounter<long>(
        "scheduler.job.transitions", "{transition}", "State changes of jobs, by the state that follows.");

    /// <summary>From a change's commit to when schedulers hear of it through Postgres, as the one that made it measures.</summary>
    public static Histogram<double> FeedLag { get; } = Meter.CreateHistogram<double>(
        "scheduler.feed.lag", "s", "Time from a change's commit to its delivery to other schedulers.");

    /// <summary>What was old or left over and is gone, by kind ("kind"): rows, and whole partitions.</summary>
    public static Counter<long> JanitorRemovals { get; } = Meter.CreateCounter<long>(
        "scheduler.janitor.removals", "{row}", "Rows and partitions that the janitor removed, by kind.");

    /// <summary>A round of the janitor.</summary>
    public static Histogram<double> JanitorSweep { get; } = Meter.CreateHistogram<double>(
        "scheduler.janitor.sweep.duration", "s", "Time that a sweep of the janitor took.");
}
