using System.Globalization;
using Cluster.Contracts;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Retention;

/// <summary>Makes the partitions of metrics and logs ahead of time, and drops those whose rows are all too old.</summary>
/// <remarks>
/// Both take a lock on the whole table for a moment. Neither waits long for it: everybody else would wait behind them, and the next sweep
/// comes soon.
/// </remarks>
internal sealed partial class TimePartitions(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, CurveStore curves, IOptions<RetentionOptions> options, TimeProvider time,
    ILogger<TimePartitions> logger)
{
    private const string LockPatience = "set local lock_timeout = '2s'";

    private string BecauseOld => string.Create(
        CultureInfo.InvariantCulture, $"log lines are kept for {options.Value.Logs.TotalDays:0.##} days (Retention:Logs)");

    public async Task SweepAsync(SweepTally removed, CancellationToken cancellationToken)
    {
        foreach (var table in new[] { "metrics", "logs" })
            await MakeAheadAsync(table, cancellationToken);
        foreach (var partition in await EndedAsync("metrics", options.Value.Metrics, cancellationToken))
        {
            foreach (var job in await UnrolledAsync(partition, cancellationToken))
                await curves.RollUpAsync(job, cancellationToken);
            await DropAsync(partition, (_, _) => Task.CompletedTask, cancellationToken);
            removed.Add("metric_partitions", 1);
        }

        foreach (var partition in await EndedAsync("logs", options.Value.Logs, cancellationToken))
        {
            await DropAsync(
                partition, (connection, token) => LogRetention.NotePartitionAsync(
                    connection, partition, time.GetUtcNow(), BecauseOld, token), cancellationToken);
            removed.Add("log_partitions", 1);
        }
    }

    /// <summary>The one after the next too: it is made a whole partition's time before a row may come.</summary>
    private async Task MakeAheadAsync(string table, CancellationToken cancellationToken)
    {
        var (now, days) = (time.GetUtcNow(), options.Value.PartitionDays);
        var astray = await database.TransactAsync(async (connection, token) =>
        {
            await ExecuteAsync(connection, LockPatience, token);
            await using (var make = new NpgsqlCommand("select add_time_partitions($1, $2, $3, $4)", connection)
            {
                Parameters =
                {
                    new() { Value = table }, new() { Value = now }, new() { Value = now.AddDays(2 * days) }, new() { Value = days },
                },
            })
                await make.ExecuteNonQueryAsync(token);
            await using var look = new NpgsqlCommand($"select exists (select 1 from {table}_default)", connection);
            return (bool)(await look.ExecuteScalarAsync(token))!;
        }, cancellationToken);
        if (astray)
            LogAstray(table);
    }

    private Task<List<string>> EndedAsync(string table, TimeSpan keep, CancellationToken cancellationToken) =>
        keep == TimeSpan.Zero
            ? Task.FromResult(new List<string>())
            : database.RunAsync(async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(
                    "select partition from time_partitions where parent_table = $1 and ends_at <= $2 order by ends_at", connection)
                {
                    Parameters = { new() { Value = table }, new() { Value = time.GetUtcNow() - keep } },
                };
                await using var reader = await command.ExecuteReaderAsync(token);
                var partitions = new List<string>();
                while (await reader.ReadAsync(token))
                    partitions.Add(reader.GetString(0));
                return partitions;
            }, cancellationToken);

    /// <summary>Jobs with points in a partition that are in no curve yet.</summary>
    private async Task<IEnumerable<JobId>> UnrolledAsync(string partition, CancellationToken cancellationToken)
    {
        // A look into the index for each job, however many points it has.
        var jobs = await database.IdsAsync(
            $"""
            with recursive present as (
                (select job_id from {partition} order by job_id limit 1)
                union all
                select (select job_id from {partition} where job_id > present.job_id order by job_id limit 1)
                from present where present.job_id is not null)
            select p.job_id from present p join jobs j on j.id = p.job_id left join metric_rollups r on r.job_id = p.job_id
            where coalesce(r.cursor, 0) < (select max(cursor) from {partition} m where m.job_id = p.job_id)
            """, [], cancellationToken);
        return jobs.Select(job => new JobId(job));
    }

    private Task DropAsync(
        string partition, Func<NpgsqlConnection, CancellationToken, Task> note, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await ExecuteAsync(connection, LockPatience, token);
            await note(connection, token);
            await ExecuteAsync(connection, $"drop table if exists {partition}", token);
            return true;
        }, cancellationToken);

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Rows of {Table} came before there was a partition for them and lie in {Table}_default; "
            + "set the schedulers' clocks right, or find out why the janitor made none")]
    private partial void LogAstray(string table);
}
