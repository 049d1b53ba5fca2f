using Cluster.Placement;

namespace Cluster.Scheduler.Telemetry;

/// <summary>
/// How many jobs wait and how long the oldest has, by queue and reason, as placement saw it last; nothing where placement does not run.
/// </summary>
internal sealed class QueueGauge
{
    private HashSet<(string Queue, string Reason)> _recorded = [];

    public void Record(PlacementPlan plan, WaitingAges ages, DateTimeOffset now)
    {
        var waiting = plan.Waiting.Select(w => (w.Queue, Reason: w.Reason.Cause.Code(), w.Jobs, Oldest: ages.Oldest(w.Queue, w.Shape)))
            .Concat(ages.NotInLine().Select(a => (a.Queue, a.Reason, a.Jobs, Oldest: (DateTimeOffset?)a.Oldest)))
            .GroupBy(w => (Queue: w.Queue.Name, w.Reason))
            .ToDictionary(same => same.Key, same => (Jobs: same.Sum(w => w.Jobs), Oldest: same.Min(w => w.Oldest)));
        // A pause has a bound, and how old its job is says nothing.
        foreach (var (queue, jobs) in plan.BackingOff)
            waiting[(queue.Name, WaitCause.BackingOff.Code())] = (jobs, null);
        foreach (var (key, (jobs, oldest)) in waiting)
            Record(key, jobs, oldest is { } since ? (now - since).TotalSeconds : 0);
        foreach (var gone in _recorded.Where(key => !waiting.ContainsKey(key)))
            Record(gone, 0, 0);
        _recorded = [.. waiting.Keys];
    }

    public void Clear()
    {
        foreach (var key in _recorded)
            Record(key, 0, 0);
        _recorded = [];
    }

    private static void Record((string Queue, string Reason) key, int jobs, double oldest)
    {
        var (queue, reason) = (new KeyValuePair<string, object?>("queue", key.Queue),
            new KeyValuePair<string, object?>("reason", key.Reason));
        SchedulerTelemetry.WaitingJobs.Record(jobs, queue, reason);
        SchedulerTelemetry.OldestWaiting.Record(oldest, queue, reason);
    }
}
