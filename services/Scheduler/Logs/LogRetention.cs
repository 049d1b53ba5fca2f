using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Logs;

/// <summary>Takes away the oldest lines of logs that are too long, and notes where lines went.</summary>
public sealed class LogRetention(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, IOptions<LogOptions> options, TimeProvider time)
{
    /// <summary>What a row and its index entry take beside the text; also in the migration that counted what was there.</summary>
    public const int LineOverhead = 64;

    // A statement deletes no more than this: a hundred thousand lines or two.
    private const long BytesAtOnce = 16 << 20;

    private string TooMuch => $"a job keeps {options.Value.MaxBytesPerJob} bytes of log (Logs:MaxBytesPerJob)";

    /// <summary>The logs that are too long although nothing is written to them, as after the setting was lowered.</summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        var tooLong = "select job_id from log_sizes where bytes > $1";
        foreach (var job in await FindAsync(tooLong, options.Value.MaxBytesPerJob, cancellationToken))
            await TrimAsync(job, options.Value.MaxBytesPerJob, TooMuch, cancellationToken);
    }

    /// <summary>Notes for every log with lines in a partition that those go.</summary>
    /// <remarks>Within the transaction that drops the partition. Nothing is written to it any more.</remarks>
    internal static async Task NotePartitionAsync(
        NpgsqlConnection connection, string partition, DateTimeOffset now, string because, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
            with gone as (
                select job_id, sum(octet_length(text) + {LineOverhead}) as bytes, count(*) as lines, max(sequence) as last
                from {partition} group by job_id)
            update log_sizes s set bytes = greatest(0, s.bytes - gone.bytes), lines_removed = lines_removed + gone.lines,
                removed_through = greatest(removed_through, gone.last), removed_at = $1, removed_because = $2
            from gone where s.job_id = gone.job_id
            """, connection)
        {
            // A whole partition is read.
            CommandTimeout = 0,
            Parameters = { new() { Value = now }, new() { Value = because } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// Notes that a job's log has grown, and trims it if it is too long now: a sixteenth more than needed, so that not every batch does.
    /// </summary>
    /// <remarks>Within the transaction that appends, under the job's lock.</remarks>
    internal async Task GrownAsync(NpgsqlConnection connection, JobId job, long bytes, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into log_sizes values ($1, $2) on conflict (job_id) do update set bytes = log_sizes.bytes + excluded.bytes
            returning bytes
            """, connection)
        {
            Parameters = { new() { Value = job.Value }, new() { Value = bytes } },
        };
        var (size, limit) = ((long)(await command.ExecuteScalarAsync(cancellationToken))!, options.Value.MaxBytesPerJob);
        if (size > limit)
            await RemoveAsync(connection, job, size - limit + Math.Min(limit / 16, BytesAtOnce), TooMuch, cancellationToken);
    }

    private async Task TrimAsync(JobId job, long keptBytes, string because, CancellationToken cancellationToken)
    {
        var more = true;
        while (more)
        {
            more = await database.TransactAsync(async (connection, token) =>
            {
                await AdvisoryLocks.LockLogsAsync(connection, job, token);
                await using var size = new NpgsqlCommand("select bytes from log_sizes where job_id = $1", connection)
                {
                    Parameters = { new() { Value = job.Value } },
                };
                var excess = (long)(await size.ExecuteScalarAsync(token))! - keptBytes;
                return excess > 0 && await RemoveAsync(connection, job, Math.Min(excess, BytesAtOnce), because, token);
            }, cancellationToken);
        }
    }

    /// <summary>Removes the oldest lines, so many that at least these bytes go.</summary>
    /// <returns>Whether there were any.</returns>
    private async Task<bool> RemoveAsync(
        NpgsqlConnection connection, JobId job, long bytes, string because, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
            with oldest as (
                select sequence, octet_length(text) + {LineOverhead} as bytes from logs where job_id = $1
                order by sequence limit $2 / {LineOverhead} + 1),
            doomed as (
                select max(sequence) as last, count(*) as lines, sum(bytes) as bytes
                from (select sequence, bytes, sum(bytes) over (order by sequence) - bytes as before from oldest) summed where before < $2),
            gone as (delete from logs using doomed where job_id = $1 and sequence <= last)
            update log_sizes s set bytes = s.bytes - doomed.bytes, lines_removed = lines_removed + doomed.lines,
                removed_through = doomed.last, removed_at = $3, removed_because = $4
            from doomed where s.job_id = $1 and doomed.lines > 0
            """, connection)
        {
            Parameters =
            {
                new() { Value = job.Value }, new() { Value = bytes }, new() { Value = time.GetUtcNow() }, new() { Value = because },
            },
        };
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    private Task<List<JobId>> FindAsync(string sql, object parameter, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = parameter } } };
            await using var reader = await command.ExecuteReaderAsync(token);
            var jobs = new List<JobId>();
            while (await reader.ReadAsync(token))
                jobs.Add(new JobId(reader.GetGuid(0)));
            return jobs;
        }, cancellationToken);
}
