using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>When something is to be done for a job that nobody will ask for. Pure, like <see cref="AttemptVerdict"/>.</summary>
internal static class NextDue
{
    /// <param name="lastSign">When a rank that does not train yet was last heard of.</param>
    /// <returns>Null: never; whatever may become of it, somebody tells.</returns>
    public static DateTimeOffset? Of(JobRecord record, Func<int, DateTimeOffset> lastSign, DateTimeOffset now, JobOptions options)
    {
        if (record.Job.State == JobState.Queued)
            return record.Job.NotBefore;
        if (!record.Job.State.HoldsDevices() || record.Attempt is not { } attempt)
            return null;
        if (attempt.State is AttemptState.Launching or AttemptState.Ending || AttemptVerdict.IsOver(record))
            return now + options.RetryInterval;
        var patience = new List<DateTimeOffset>();
        if (attempt.State == AttemptState.Launched)
            patience.AddRange(record.Grants.Where(g => g.StartedAt is null).Select(g => lastSign(g.Rank) + options.StartDeadline));
        if (record.Grants.Min(g => g.GoneAt) is { } firstDone)
            patience.Add(firstDone + options.FinishGrace);
        if (RunLimit.EndOf(record) is { } end)
            patience.Add(end);
        return patience.Count == 0 ? null : patience.Min();
    }
}
