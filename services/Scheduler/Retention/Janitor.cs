using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Telemetry;
using Npgsql;

namespace Cluster.Scheduler.Retention;

/// <summary>
/// Mends what a scheduler that died between two writes left, and takes away what is older than <see cref="RetentionOptions"/> say: one
/// scheduler at a time, in small batches.
/// </summary>
internal sealed partial class Janitor(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, Leftovers leftovers, TimePartitions partitions, LongSeries series,
    RunSettings settings, LogRetention logs, OldJobs jobs, OldAudit audit, TimeProvider time, ILogger<Janitor> logger)
{
    /// <returns>What went; null: another scheduler is at it.</returns>
    public Task<SweepTally?> SweepAsync(CancellationToken cancellationToken) => database.RunAsync(async (connection, token) =>
    {
        if (!await AskAsync(connection, "select pg_try_advisory_lock($1)", token))
            return null;
        try
        {
            return await SweepAllAsync(token);
        }
        finally
        {
            // A session lock survives the return of a pooled connection, so it must be given back by hand.
            await AskAsync(connection, "select pg_advisory_unlock($1)", CancellationToken.None);
        }
    }, cancellationToken);

    private async Task<SweepTally> SweepAllAsync(CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var removed = new SweepTally();
        await TryAsync("leftovers", leftovers.SweepAsync(removed, cancellationToken));
        await TryAsync("settings", settings.SweepAsync(cancellationToken));
        await TryAsync("long series", series.SweepAsync(cancellationToken));
        await TryAsync("partitions", partitions.SweepAsync(removed, cancellationToken));
        await TryAsync("long logs", logs.SweepAsync(cancellationToken));
        await TryAsync("old jobs", jobs.SweepAsync(removed, cancellationToken));
        await TryAsync("the audit", audit.SweepAsync(removed, cancellationToken));
        var took = time.GetElapsedTime(began);
        SchedulerTelemetry.JanitorSweep.Record(took.TotalSeconds);
        LogSwept(removed, took.TotalSeconds);
        return removed;
    }

    /// <summary>A fault of one part is its own: the others go on, and the next sweep tries again.</summary>
    private async Task TryAsync(string what, Task sweep)
    {
        try
        {
            await sweep;
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            LogFailed(fault, what);
        }
    }

    private static async Task<bool> AskAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = AdvisoryLocks.Janitor } } };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The janitor took away, by kind: {Removed}; it took {Seconds:0.000} s")]
    private partial void LogSwept(SweepTally removed, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The janitor could not see to {What}; the next sweep tries again")]
    private partial void LogFailed(Exception fault, string what);
}
