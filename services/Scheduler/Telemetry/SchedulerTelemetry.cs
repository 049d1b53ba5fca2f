using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Cluster.Scheduler.Telemetry;

/// <summary>The names under which the scheduler's spans and metrics are collected, and its own instruments.</summary>
public static class SchedulerTelemetry
{
    public const string Name = "Cluster.Scheduler";

    private static readonly Meter Meter = new(Name);

    // From a fast disk's commit to a slow agent's launch; the usual bounds are meant for milliseconds.
    private static readonly InstrumentAdvice<double> Durations = new()
    {
        HistogramBucketBoundaries = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300],
    };

    // From a free device to a week's queue.
    private static readonly InstrumentAdvice<double> Waits = new()
    {
        HistogramBucketBoundaries = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800],
    };

    /// <summary>Spans of the scheduler's own work.</summary>
    public static ActivitySource Activities { get; } = new(Name);

    /// <summary>From when a job could start, queued first or again, to its devices' grant.</summary>
    public static Histogram<double> QueueWait { get; } = Meter.CreateHistogram<double>(
        "scheduler.queue.wait.duration", "s", "Time a job waited for its devices.", advice: Waits);

    /// <summary>How many jobs wait, by "queue" and the reason's code ("reason").</summary>
    public static Gauge<int> WaitingJobs { get; } = Meter.CreateGauge<int>(
        "scheduler.queue.jobs", "{job}", "Jobs that wait, by the reason's code.");

    /// <summary>How long the oldest of them has waited since its submit.</summary>
    public static Gauge<double> OldestWaiting { get; } = Meter.CreateGauge<double>(
        "scheduler.queue.oldest.age", "s", "Age of the oldest job that waits, by the reason's code.");

    /// <summary>One placement cycle, from reading what has changed to its plan's commit.</summary>
    public static Histogram<double> CycleDuration { get; } = Meter.CreateHistogram<double>(
        "scheduler.placement.cycle.duration", "s", "Duration of a placement cycle.", advice: Durations);

    /// <summary>Of that, the commit of a plan that starts jobs.</summary>
    public static Histogram<double> CommitDuration { get; } = Meter.CreateHistogram<double>(
        "scheduler.placement.commit.duration", "s", "Duration of a plan's commit.", advice: Durations);

    /// <summary>Jobs that were told to release their devices for others, by their "queue".</summary>
    public static Counter<long> Preemptions { get; } = Meter.CreateCounter<long>(
        "scheduler.preemptions", "{job}", "Jobs that were preempted, by queue.");

    /// <summary>Elastic jobs that were told to go on with more devices or fewer, by their "queue".</summary>
    public static Counter<long> Resizes { get; } = Meter.CreateCounter<long>(
        "scheduler.resizes", "{job}", "Elastic jobs that were given more devices or fewer, by queue.");

    /// <summary>
    /// Work that preempted jobs lost: device-seconds from their last stored checkpoint, or their start, until their devices were free; by
    /// their "queue".
    /// </summary>
    public static Counter<double> PreemptionLost { get; } = Meter.CreateCounter<double>(
        "scheduler.preemption.lost", "{device}.s", "Device-seconds of work lost by preemption, by queue.");

    /// <summary>How far the first start came from what was said first to the job, by "queue".</summary>
    public static Histogram<double> StartError { get; } = Meter.CreateHistogram<double>(
        "scheduler.expected_start.error", "s", "Difference between a job's start and its first forecast.", advice: Waits);

    /// <summary>Jobs that started, by "queue" and whether by the late time that was said first ("in_time").</summary>
    public static Counter<long> ExpectedStarts { get; } = Meter.CreateCounter<long>(
        "scheduler.expected_starts", "{job}", "Jobs that started after a forecast, by whether within its interval.");

    /// <summary>Attempts whose launch is settled, by "result": launched or failed.</summary>
    public static Counter<long> Launches { get; } = Meter.CreateCounter<long>(
        "scheduler.launches", "{attempt}", "Attempts that all agents launched, or that one did not.");

    /// <summary>From a job's submit to its first launch, confirmed by every agent.</summary>
    public static Histogram<double> SubmitToLaunch { get; } = Meter.CreateHistogram<double>(
        "scheduler.submit.launch.duration", "s", "Time from a job's submit to its first launch.", advice: Durations);

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
        "scheduler.due_work.lag", "s", "How late due work was taken up.", advice: Durations);

    /// <summary>Renewed by heartbeats, at this scheduler.</summary>
    public static Counter<long> LeaseRenewals { get; } = Meter.CreateCounter<long>(
        "scheduler.lease.renewals", "{lease}", "Leases of nodes that heartbeats renewed.");

    /// <summary>How near leases come to running out: a node is lost when it reaches the lease's term.</summary>
    public static Histogram<double> HeartbeatLag { get; } = Meter.CreateHistogram<double>(
        "scheduler.lease.renewal.lag", "s", "Time from a lease's renewal to the next one's commit.", advice: Durations);

    /// <summary>Without a heartbeat, since none could come, by what was away ("reason").</summary>
    public static Counter<long> LeasesExtended { get; } = Meter.CreateCounter<long>(
        "scheduler.lease.extensions", "{lease}", "Leases of nodes that got a full term because a scheduler or the store was away.");

    /// <summary>"ready", "unready", "drained", "lost" ("state").</summary>
    public static Gauge<int> Nodes { get; } = Meter.CreateGauge<int>("scheduler.nodes", "{node}", "Nodes, by state.");

    /// <summary>"free", "granted", "unready", "drained", "lost" ("state").</summary>
    public static Gauge<int> Devices { get; } = Meter.CreateGauge<int>("scheduler.devices", "{device}", "Devices of nodes, by state.");

    /// <summary>From a change's commit to when schedulers hear of it through Postgres, as the one that made it measures.</summary>
    public static Histogram<double> FeedLag { get; } = Meter.CreateHistogram<double>(
        "scheduler.feed.lag", "s", "Time from a change's commit to its delivery to other schedulers.", advice: Durations);

    /// <summary>What was old or left over and is gone, by kind ("kind"): rows, and whole partitions.</summary>
    public static Counter<long> JanitorRemovals { get; } = Meter.CreateCounter<long>(
        "scheduler.janitor.removals", "{row}", "Rows and partitions that the janitor removed, by kind.");

    /// <summary>Events for webhooks, by "result": a try delivered or failed, or the event is dead after the last, or dropped.</summary>
    public static Counter<long> WebhookDeliveries { get; } = Meter.CreateCounter<long>(
        "scheduler.webhook.deliveries", "{event}", "Events for webhooks, by what came of them.");

    /// <summary>A round of the janitor.</summary>
    public static Histogram<double> JanitorSweep { get; } = Meter.CreateHistogram<double>(
        "scheduler.janitor.sweep.duration", "s", "Time that a sweep of the janitor took.", advice: Durations);
}
