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

    /// <summary>Jobs stored by submits, an experiment's each by itself.</summary>
    public static Counter<long> Submits { get; } = Meter.CreateCounter<long>("scheduler.submits", "{job}", "Jobs that were submitted.");

    /// <summary>How many submits one commit stored.</summary>
    public static Histogram<int> SubmitGroup { get; } = Meter.CreateHistogram<int>(
        "scheduler.submit.group.size", "{submit}", "Submits stored by one commit.");

    /// <summary>From when something was due for a job to when a scheduler took it up.</summary>
    public static Histogram<double> DueLag { get; } = Meter.CreateHistogram<double>(
        "scheduler.due_work.lag", "s", "How late due work was taken up.");
}
