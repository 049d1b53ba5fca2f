using Cluster.Contracts;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Persistence;
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
            var record = new JobRecord { Job = job };
            if (job.Attempt > 0)
            {
                var attempt = await context.Attempts.SingleAsync(a => a.JobId == job.Id && a.Number == job.Attempt, token);
                var grants = await context.DeviceGrants.Where(g => g.JobId == job.Id && g.Attempt == job.Attempt).OrderBy(g => g.Rank)
                    .ToListAsync(token);
                record.Load(attempt, grants);
            }

            return record;
        }, cancellationToken);

    /// <summary>Stores a new job with its first event.</summary>
    /// <returns>False when the job is there already.</returns>
    /// <exception cref="InitialCheckpointException">The checkpoint that it begins with is gone.</exception>
    public Task<bool> InsertAsync(JobRow job, JobEventRow first, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            await using var transaction = await context.Database.BeginTransactionAsync(token);
            await HoldCheckpointsAsync(context, [job], token);
            context.Jobs.Add(job);
            context.JobEvents.Add(first);
            try
            {
                await context.SaveChangesAsync(token);
                await transaction.CommitAsync(token);
                return true;
            }
            catch (DbUpdateException failure)
                when (failure.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
            {
                return false;
            }
        }, cancellationToken);

    /// <summary>Writes job, attempt, grants and new events in one transaction, and raises the version.</summary>
    /// <exception cref="StaleStateException">The row has another version than the record.</exception>
    /// <exception cref="DeviceTakenException">A device of a new attempt is granted already.</exception>
    public async Task SaveAsync(JobRecord record, CancellationToken cancellationToken)
    {
        var expected = record.Job.Version;
        await database.WithEntitiesAsync((context, token) => SaveAsync(context, record, expected, token), cancellationToken);
        record.Saved();
    }

    /// <summary>In the caller's transaction, and in one order, so that two who hold the same cannot wait for each other.</summary>
    internal static async Task HoldCheckpointsAsync(ClusterDbContext context, IEnumerable<JobRow> jobs, CancellationToken cancellationToken)
    {
        var connection = (NpgsqlConnection)context.Database.GetDbConnection();
        foreach (var checkpoint in jobs.Select(job => job.Spec.InitFrom?.Checkpoint).Where(text => !string.IsNullOrEmpty(text)).Distinct()
            .Order(StringComparer.Ordinal))
            await CheckpointSql.HoldAsync(connection, Guid.Parse(checkpoint!), cancellationToken);
    }

    private static async Task<bool> SaveAsync(
        ClusterDbContext context, JobRecord record, long expected, CancellationToken cancellationToken)
    {
        record.Job.Version = expected + 1;
        context.Jobs.Update(record.Job).Property(j => j.Version).OriginalValue = expected;
        context.JobEvents.AddRange(record.NewEvents);
        if (record.AttemptIsNew)
        {
            context.Attempts.Add(record.Attempt!);
            context.DeviceGrants.AddRange(record.Grants);
        }
        else if (record.Attempt is not null)
        {
            context.Attempts.Update(record.Attempt);
            context.DeviceGrants.UpdateRange(record.Grants);
        }

        try
        {
            await context.SaveChangesAsync(cancellationToken);
            return true;
        }
        catch (DbUpdateException failure)
            when (failure.InnerException is PostgresException { ConstraintName: "device_grants_active" } taken)
        {
            throw new DeviceTakenException(taken.Detail ?? taken.MessageText);
        }
        // Whoever was first has written the same event or attempt; that insert may be refused before the version is compared.
        catch (DbUpdateException failure) when (failure is DbUpdateConcurrencyException
            || failure.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            throw new StaleStateException($"job {record.Id} has been written by another activation since version {expected}");
        }
    }
}

/// <summary>The database refused a second grant of a device. Placement decided on an old picture; the next cycle has a newer one.</summary>
[GenerateSerializer, Alias("cluster.DeviceTakenException")]
internal sealed class DeviceTakenException(string message) : Exception(message);
