using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Retention;

/// <summary>
/// Takes away finished jobs that are old, with all that is theirs, and before that their events and what was learnt of how long they ran.
/// </summary>
/// <remarks>
/// A job goes in one transaction with all that names it, and a note of it stays (<c>removed_jobs</c>). By that the masses that no foreign
/// key ties to it, its metrics, log lines and chunks, go a batch at a time, also where a sweep does not live to end.
/// </remarks>
internal sealed class OldJobs(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, IOptions<RetentionOptions> options, TimeProvider time)
{
    private const int JobsAtOnce = 100;

    // A job that is not over begins with weights of this one.
    private const string IsBegunWith =
        """
        exists (select 1 from checkpoints c join jobs later on later.initial_checkpoint = c.id
            where c.job_id = j.id and later.state not in ('Succeeded', 'Failed', 'Cancelled'))
        """;

    public async Task SweepAsync(SweepTally removed, CancellationToken cancellationToken)
    {
        if (options.Value.Events > TimeSpan.Zero)
            removed.Add("events", await RemoveEventsAsync(time.GetUtcNow() - options.Value.Events, cancellationToken));
        if (options.Value.Runtimes > TimeSpan.Zero)
            removed.Add("runtimes", await RemoveRuntimesAsync(time.GetUtcNow() - options.Value.Runtimes, cancellationToken));
        if (options.Value.Jobs > TimeSpan.Zero)
        {
            var finishedBefore = time.GetUtcNow() - options.Value.Jobs;
            removed.Add("jobs", await RemoveJobsAsync(finishedBefore, cancellationToken));
            removed.Add("experiments", await RemoveExperimentsAsync(finishedBefore, cancellationToken));
        }

        foreach (var job in await database.IdsAsync("select job_id from removed_jobs", [], cancellationToken))
            await RemoveMassesAsync(job, removed, cancellationToken);
    }

    private Task<long> RemoveEventsAsync(DateTimeOffset finishedBefore, CancellationToken cancellationToken) => database.DeleteAsync(
        """
        delete from job_events where ctid in (
            select e.ctid from jobs j join job_events e on e.job_id = j.id and e.sequence < j.last_event
            where j.finished_at < $1 limit 1000)
        """, [finishedBefore], cancellationToken);

    private Task<long> RemoveRuntimesAsync(DateTimeOffset learntBefore, CancellationToken cancellationToken) => database.DeleteAsync(
        "delete from runtimes where likeness in (select likeness from runtimes where learnt_at < $1 limit 1000)", [learntBefore],
        cancellationToken);

    /// <summary>Those that have no job any more.</summary>
    private Task<long> RemoveExperimentsAsync(DateTimeOffset submittedBefore, CancellationToken cancellationToken) => database.DeleteAsync(
        """
        delete from experiments where id in (
            select id from experiments e where created_at < $1 and not exists (select 1 from jobs j where j.experiment_id = e.id)
            limit 1000)
        """, [submittedBefore], cancellationToken);

    private async Task<long> RemoveJobsAsync(DateTimeOffset finishedBefore, CancellationToken cancellationToken)
    {
        var (removed, some) = (0L, 0);
        do
        {
            var old = await database.IdsAsync(
                $"select id from jobs j where finished_at < $1 and not {IsBegunWith} order by finished_at limit {JobsAtOnce}",
                [finishedBefore], cancellationToken);
            some = 0;
            foreach (var job in old)
                some += await RemoveJobAsync(job, cancellationToken);
            removed += some;
        }
        while (some == JobsAtOnce);

        return removed;
    }

    /// <returns>1; 0: somebody is about to begin with its weights, or another sweep was first.</returns>
    private Task<int> RemoveJobAsync(Guid job, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            // Who submits a job that begins with a checkpoint holds the same lock until that job is stored.
            await AdvisoryLocks.LockCheckpointsAsync(connection, job, token);
            await using var command = new NpgsqlCommand(
                $"""
                with old as (delete from jobs j where id = $1 and finished_at is not null and not {IsBegunWith} returning id),
                noted as (insert into removed_jobs select id from old)
                select count(*)::integer from old
                """, connection)
            {
                Parameters = { new() { Value = job } },
            };
            return (int)(await command.ExecuteScalarAsync(token))!;
        }, cancellationToken);

    private async Task RemoveMassesAsync(Guid job, SweepTally removed, CancellationToken cancellationToken)
    {
        foreach (var (kind, sql) in new[]
        {
            ("metrics", BatchOf("metrics", "cursor")), ("logs", BatchOf("logs", "sequence")),
            ("chunks", """
                delete from checkpoint_chunks where holder = $1 and sha256 in (
                    select sha256 from checkpoint_chunks where holder = $1 limit 100)
                """),
        })
            removed.Add(kind, await database.DeleteAsync(sql, [job], cancellationToken));
        await database.DeleteAsync("delete from removed_jobs where job_id = $1", [job], cancellationToken);

        static string BatchOf(string table, string order) =>
            $"""
            delete from {table} where job_id = $1 and {order} <= (
                select max({order}) from (select {order} from {table} where job_id = $1 order by {order} limit 5000) batch)
            """;
    }
}
