using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>How long a job may train. Pure, like <see cref="AttemptVerdict"/>.</summary>
internal static class RunLimit
{
    /// <summary>When the job's time is over. Only that of a running attempt passes.</summary>
    /// <returns>Null: never, as it is.</returns>
    public static DateTimeOffset? EndOf(JobRecord record) =>
        record is { Job: { State: JobState.Running } job, Attempt: { State: AttemptState.Running, StartedAt: { } started } }
            && job.Spec.MaxRuntime?.ToTimeSpan() is { } limit && limit > TimeSpan.Zero
            ? started + (limit - job.Ran)
            : null;
}
