using Cluster.Placement.Running;

namespace Cluster.Placement.Backfill;

/// <summary>When a job would fit, from when running jobs are expected to end.</summary>
internal sealed class ReleaseProfile(RunningIndex running, DateTimeOffset now, PlacementPolicy policy)
{
    /// <summary>Frees devices in the tally, in the order in which they are expected to be free, until the job fits.</summary>
    /// <param name="skipped">Already free in the tally.</param>
    /// <param name="work">Counts down by each running job that is looked at.</param>
    /// <returns>When that is; null if it is not known, or not settled within the work.</returns>
    public DateTimeOffset? Await(RoomTally tally, IReadOnlySet<JobKey> skipped, ref int work)
    {
        var at = now;
        foreach (var job in running.Releases)
        {
            if (tally.Fits)
                return at;
            if (--work < 0)
                return null;
            if (skipped.Contains(job.Id) || tally.Free(job.FreeThen, job.Memory) == 0)
                continue;
            // One that should have ended is about to.
            at = Later(at, job.FreeAt > now ? job.FreeAt.Value : now + policy.Overdue);
        }

        return tally.Fits ? at : null;
    }

    private static DateTimeOffset Later(DateTimeOffset x, DateTimeOffset y) => x > y ? x : y;
}
