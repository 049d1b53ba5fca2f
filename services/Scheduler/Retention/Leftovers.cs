using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Retention;

/// <summary>
/// Takes away what a scheduler that died between two writes left: whoever makes these rows takes them away too, unless it does not live to.
/// </summary>
internal sealed class Leftovers(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, CheckpointRetention checkpoints, IOptions<RetentionOptions> options,
    TimeProvider time)
{
    public async Task SweepAsync(SweepTally removed, CancellationToken cancellationToken)
    {
        // Nothing is accepted from an attempt that has ended.
        foreach (var (kind, table) in new[]
        {
            ("checkpoint_parts", "checkpoint_parts"), ("report_cursors", "report_cursors"), ("rendezvous", "rendezvous_endpoints"),
        })
        {
            var ended =
                $"""
                delete from {table} where ctid in (
                    select r.ctid from {table} r join attempts a on a.job_id = r.job_id and a.number = r.attempt
                    where a.ended_at is not null limit 1000)
                """;
            removed.Add(kind, await database.DeleteAsync(ended, [], cancellationToken));
        }

        removed.Add("log_cursors", await RemoveLogCursorsAsync(cancellationToken));
        removed.Add("chunks", await checkpoints.SweepOrphansAsync(cancellationToken));
    }

    /// <summary>
    /// Lines are taken from a job's last attempt even when it is over, and its cursor tells which of them come twice: for as long as the
    /// lines themselves are kept.
    /// </summary>
    private Task<long> RemoveLogCursorsAsync(CancellationToken cancellationToken)
    {
        var keep = options.Value.Logs;
        var finishedBefore = keep == TimeSpan.Zero ? DateTimeOffset.MinValue : time.GetUtcNow() - keep;
        // By the offset each cursor's job is looked up, however many jobs wait: a join may read them all.
        return database.DeleteAsync(
            """
            delete from log_cursors where ctid in (
                select c.ctid from log_cursors c cross join lateral (
                    select attempt, finished_at from jobs where id = c.job_id offset 0) j
                where c.attempt < j.attempt or j.finished_at < $1 limit 1000)
            """, [finishedBefore], cancellationToken);
    }
}
