using Cluster.Contracts;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Jobs;

/// <summary>Reads and writes a job with its last attempt, for the job's grain alone.</summary>
internal sealed class JobStore(ClusterDatabase database)
{
    /// <returns>Null when there is no such job.</returns>
    public Task<JobRecord?> LoadAsync(JobId id, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            if (await context.Jobs.SingleOrDefaultAsync(j => j.Id == id.Value, token) is not { } job)
                return null;
            if (job.Attempt == 0)
                return new JobRecord(job, null, []);
            var attempt = await context.Attempts.SingleAsync(a => a.JobId == job.Id && a.Number == job.Attempt, token);
            var grants = await context.DeviceGrants.Where(g => g.JobId == job.Id && g.Attempt == job.Attempt).OrderBy(g => g.Rank)
                .ToListAsync(token);
            return new JobRecord(job, attempt, grants);
        }, cancellationToken);

    /// <summary>
    /// Writes what has changed of job, attempt and grants, with the new events, in one transaction, and raises the version.
    /// </summary>
    /// <param name="nextDue">When something is to be done for the job that nobody asks for; null: never.</param>
    /// <exception cref="StaleStateException">The row has another version than the record.</exception>
    public async Task SaveAsync(JobRecord record, DateTimeOffset? nextDue, CancellationToken cancellationToken)
    {
        record.Job.Version++;
        await database.WithEntitiesAsync((context, token) => SaveAsync(context, record, nextDue, token), cancellationToken);
        record.Saved();
    }

    /// <summary>When the newest checkpoint of the job's attempt was stored; null: it has none.</summary>
    public Task<DateTimeOffset?> CommittedAtAsync(JobId id, CancellationToken cancellationToken) =>
        database.RunAsync<DateTimeOffset?>(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select committed_at from job_queue where job_id = $1", connection)
            {
                Parameters = { new() { Value = id.Value } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token) && !reader.IsDBNull(0) ? reader.GetFieldValue<DateTimeOffset>(0) : null;
        }, cancellationToken);

    /// <summary>Says when the job is due next, if it still has the version.</summary>
    public Task PutOffAsync(JobId id, long version, DateTimeOffset? nextDue, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "update job_queue set next_due_at = $3 where job_id = $1 and version = $2", connection)
            {
                Parameters =
                {
                    new() { Value = id.Value }, new() { Value = version },
                    new NpgsqlParameter<DateTimeOffset?> { TypedValue = nextDue },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    private static async Task<bool> SaveAsync(
        ClusterDbContext context, JobRecord record, DateTimeOffset? nextDue, CancellationToken cancellationToken)
    {
        foreach (var (stored, now) in record.Rows())
            context.Attach(stored).CurrentValues.SetValues(now);
        context.JobEvents.AddRange(record.NewEvents);
        var queued = new QueuedJobRow
        {
            JobId = record.Job.Id,
            State = record.Job.State,
            Version = record.Job.Version,
            Queue = record.Job.Queue,
            Priority = record.Job.Priority,
            NotBefore = record.Job.NotBefore,
            AvoidNodes = record.Job.AvoidNodes,
            ExcludedNodes = record.Job.ExcludedNodes,
            NextDueAt = nextDue,
        };
        context.Entry(queued).State = record.Job.State.IsFinal() ? EntityState.Deleted : EntityState.Modified;
        try
        {
            await context.SaveChangesAsync(cancellationToken);
            return true;
        }
        // Whoever was first has written the same event; that insert may be refused before the version is compared.
        catch (DbUpdateException failure) when (failure is DbUpdateConcurrencyException
            || failure.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            throw new StaleStateException($"job {record.Id} has been written by another since version {record.Job.Version - 1}");
        }
        catch (DbUpdateException failure) when (failure.InnerException is PostgresException { ConstraintName: QueueStore.JobInQueue })
        {
            throw UnknownQueueException.For(record.Job.Queue);
        }
    }
}
