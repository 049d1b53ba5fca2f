using Cluster.Contracts;
using Npgsql;

namespace Cluster.Scheduler.Persistence;

/// <summary>Keys of the advisory locks that this program takes; one place, so that no two mean different things.</summary>
internal static class AdvisoryLocks
{
    /// <summary>Held while the schema is brought up to date.</summary>
    public const long Migration = 0x434c_5553_0001;

    /// <summary>Held while a scheduler takes away what is old.</summary>
    public const long Janitor = 0x434c_5553_0002;

    private const int MetricsOfJob = 0x434c_0001;
    private const int LogsOfJob = 0x434c_0002;
    private const int Checkpoints = 0x434c_0003;

    /// <summary>
    /// Until the transaction's end, only this one adds metrics to the job. Cursors then ascend in the order of commits, and
    /// who reads on from the last cursor seen misses nothing.
    /// </summary>
    public static Task LockMetricsAsync(NpgsqlConnection connection, JobId job, CancellationToken cancellationToken) =>
        LockAsync(connection, MetricsOfJob, job.Value, cancellationToken);

    /// <inheritdoc cref="LockMetricsAsync"/>
    public static Task LockLogsAsync(NpgsqlConnection connection, JobId job, CancellationToken cancellationToken) =>
        LockAsync(connection, LogsOfJob, job.Value, cancellationToken);

    /// <summary>Until the transaction's end, only this one adds a checkpoint to the job or takes one away.</summary>
    public static Task LockCheckpointsAsync(NpgsqlConnection connection, JobId job, CancellationToken cancellationToken) =>
        LockCheckpointsAsync(connection, job.Value, cancellationToken);

    /// <summary>The same for whoever holds a checkpoint's chunks: its job, or the checkpoint itself if it was imported.</summary>
    public static Task LockCheckpointsAsync(NpgsqlConnection connection, Guid holder, CancellationToken cancellationToken) =>
        LockAsync(connection, Checkpoints, holder, cancellationToken);

    private static async Task LockAsync(NpgsqlConnection connection, int kind, Guid id, CancellationToken cancellationToken)
    {
        // Two ids whose hashes meet merely wait for each other.
        await using var command = new NpgsqlCommand("select pg_advisory_xact_lock($1, hashtext($2))", connection)
        {
            Parameters = { new() { Value = kind }, new() { Value = id.ToString() } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
