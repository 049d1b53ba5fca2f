using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>Drops the checkpoints that a job's policy no longer keeps, and the chunks that no checkpoint names.</summary>
public sealed class CheckpointRetention(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, IOptions<CheckpointOptions> options, TimeProvider time)
{
    // Of a mebibyte each, as trainers cut them.
    private const int ChunksAtOnce = 100;

    private const string IsOrphan =
        """
        c.put_at < $1 and not exists (select 1 from checkpoint_chunk_refs r where r.holder = c.holder and r.sha256 = c.sha256)
            and not exists (select 1 from checkpoint_parts p where p.job_id = c.holder)
        """;

    /// <summary>Applies the job's keep_latest and keep_best. What an unfinished job begins with stays, whatever they say.</summary>
    public Task ApplyAsync(JobId job, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await AdvisoryLocks.LockCheckpointsAsync(connection, job, token);
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    // The best is the earliest of those with the highest validation accuracy.
                    new("""
                        delete from checkpoints c
                        using jobs j,
                            (select id,
                                row_number() over (order by step desc, created_at desc) as age,
                                row_number() over (order by validation_accuracy desc nulls last, step) as rank
                            from checkpoints where job_id = $1) standing
                        where c.job_id = $1 and j.id = $1 and standing.id = c.id
                            and standing.age > j.keep_latest
                            and not (j.keep_best and standing.rank = 1 and c.validation_accuracy is not null)
                            and not exists (select 1 from jobs later
                                where later.initial_checkpoint = c.id and later.state not in ('Succeeded', 'Failed', 'Cancelled'))
                        """)
                    {
                        Parameters = { new() { Value = job.Value } },
                    },
                    DeleteChunks(job, time.GetUtcNow() - options.Value.OrphanAge),
                },
            };
            await batch.ExecuteNonQueryAsync(token);
            return true;
        }, cancellationToken);

    /// <summary>For a checkpoint that a job began with, once that job has ended: its own job's policy counts again.</summary>
    public async Task ReleaseAsync(Guid checkpoint, CancellationToken cancellationToken)
    {
        var job = await database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select job_id from checkpoints where id = $1", connection)
            {
                Parameters = { new() { Value = checkpoint } },
            };
            return await command.ExecuteScalarAsync(token) as Guid?;
        }, cancellationToken);
        if (job is { } id)
            await ApplyAsync(new JobId(id), cancellationToken);
    }

    /// <summary>
    /// For a job none of whose attempts goes on: nothing is on its way any more, so every chunk without a checkpoint goes, and with it what
    /// was kept of the attempts only to recognise their calls.
    /// </summary>
    public Task SweepAsync(JobId job, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await AdvisoryLocks.LockCheckpointsAsync(connection, job, token);
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    DeleteChunks(job, time.GetUtcNow() + TimeSpan.FromDays(1)),
                    DeleteOfJob("delete from checkpoint_parts where job_id = $1", job),
                    DeleteOfJob("delete from report_cursors where job_id = $1", job),
                    DeleteOfJob("delete from rendezvous_endpoints where job_id = $1", job),
                },
            };
            return await batch.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>
    /// Takes away the chunks that nothing names: of uploads whose trainer, client or scheduler did not live to end them. Those of a job of
    /// which some ranks have posted their parts of a checkpoint are left alone until the others have.
    /// </summary>
    /// <returns>How many.</returns>
    internal async Task<long> SweepOrphansAsync(CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - options.Value.OrphanAge;
        var removed = 0L;
        foreach (var holder in await HoldersOfOrphansAsync(before, cancellationToken))
        {
            int some;
            do
            {
                some = await database.TransactAsync(async (connection, token) =>
                {
                    // A commit holds it too, and looks for its chunks only then.
                    await AdvisoryLocks.LockCheckpointsAsync(connection, holder, token);
                    await using var command = new NpgsqlCommand(
                        $"""
                        delete from checkpoint_chunks where holder = $2 and put_at < $1 and sha256 in (
                            select sha256 from checkpoint_chunks c where {IsOrphan} and c.holder = $2 limit {ChunksAtOnce})
                        """, connection)
                    {
                        Parameters = { new() { Value = before }, new() { Value = holder } },
                    };
                    return await command.ExecuteNonQueryAsync(token);
                }, cancellationToken);
                removed += some;
            }
            while (some > 0);
        }

        return removed;
    }

    private Task<List<Guid>> HoldersOfOrphansAsync(DateTimeOffset before, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                $"select distinct c.holder from checkpoint_chunks c where {IsOrphan}", connection)
            {
                Parameters = { new() { Value = before } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var holders = new List<Guid>();
            while (await reader.ReadAsync(token))
                holders.Add(reader.GetGuid(0));
            return holders;
        }, cancellationToken);

    private static NpgsqlBatchCommand DeleteOfJob(string sql, JobId job) => new(sql) { Parameters = { new() { Value = job.Value } } };

    // A chunk that an upload renews meanwhile is looked at again once its lock is free, and stays.
    private static NpgsqlBatchCommand DeleteChunks(JobId job, DateTimeOffset before) => new(
        """
        delete from checkpoint_chunks c
        where c.holder = $1 and c.put_at < $2
            and not exists (select 1 from checkpoint_chunk_refs r where r.holder = c.holder and r.sha256 = c.sha256)
        """)
    {
        Parameters = { new() { Value = job.Value }, new() { Value = before } },
    };
}
