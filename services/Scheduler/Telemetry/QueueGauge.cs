using Cluster.Placement;

namespace Cluster.Scheduler.Telemetry;

/// <summary>How many jobs wait, by cause, as placement saw it last; nothing where placement does not run.</summary>
internal static class QueueGauge
{
    public static void Record(PlacementPlan plan)
    {
        var jobs = plan.Waiting.GroupBy(w => w.Reason.Cause).ToDictionary(same => same.Key, same => same.Sum(w => w.Jobs));
        jobs[WaitCause.BackingOff] = plan.BackingOff;
        Record(cause => jobs.GetValueOrDefault(cause));
    }

    public static void Clear() => Record(_ => 0);

    private static void Record(Func<WaitCause, int> jobs)
    {
        foreach (var cause in Enum.GetValues<WaitCause>())
            SchedulerTelemetry.WaitingJobs.Record(jobs(cause), new KeyValuePair<string, object?>("reason", cause.Code()));
    }
}
