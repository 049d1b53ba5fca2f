using System.Text;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Logs;

/// <summary>What a job's trainers wrote, line by line, appended by COPY.</summary>
public sealed class LogStore(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase writing, [FromKeyedServices(StorePool.Queries)] ClusterDatabase reading,
    LogRetention retention, JobFeed feed, TimeProvider time)
{
    // Where lines were taken away a line of the agent's kind says so: it stands for the last of them, to readers of any rank.
    private const string Notice =
        """
        select removed_through as sequence, removed_at as time, 0 as attempt, coalesce($3, 0) as rank, 'Agent' as stream,
            'lines gone before this one: ' || lines_removed || '; ' || removed_because as text
        from log_sizes where job_id = $1 and removed_through > $2
        """;

    private const string Lines =
        """
        select sequence, time, attempt, rank, stream, text from logs
        where job_id = $1 and sequence > $2 and ($3 is null or rank = $3) and stored_at >= $5
        """;

    /// <summary>Appends a batch of an agent's lines; lines that were stored before are left out.</summary>
    /// <remarks>
    /// A trainer's last words arrive after its exit. So lines are taken from the job's last attempt even when it is over, and from no
    /// earlier one.
    /// </remarks>
    /// <exception cref="AttemptFencedException">The job has a newer attempt, or this one never ran on that node.</exception>
    public async Task AppendAsync(
        NodeId node, JobId job, int attempt, long agentSequence, IReadOnlyList<LogLine> lines, CancellationToken cancellationToken)
    {
        var stored = await writing.TransactAsync(async (connection, token) =>
        {
            await HoldAsync(connection, node, job, attempt, token);
            await AdvisoryLocks.LockLogsAsync(connection, job, token);
            var known = await AdvanceAsync(connection, node, job, attempt, agentSequence, lines.Count, token);
            var skip = (int)Math.Clamp(known - agentSequence, 0, lines.Count);
            if (skip < lines.Count)
                await retention.GrownAsync(connection, job, await CopyAsync(connection, job, attempt, lines.Skip(skip), token), token);
            return skip < lines.Count;
        }, cancellationToken);
        if (stored)
            feed.Publish(job, JobChange.Logs);
    }

    /// <summary>Lines in ascending sequence, with one that says so where lines have been taken away.</summary>
    /// <param name="afterSequence">Lines up to this one are left out.</param>
    /// <param name="rank">Null: of all ranks.</param>
    /// <param name="limit">At most this many, beside that one.</param>
    public Task<IReadOnlyList<LogLine>> ReadAsync(
        JobId job, long afterSequence, int? rank, int limit, CancellationToken cancellationToken) =>
        reading.RunAsync<IReadOnlyList<LogLine>>(async (connection, token) =>
        {
            await using var command = await CommandAsync(
                $"({Notice}) union all ({Lines} order by sequence limit $4) order by sequence", connection, job, afterSequence, rank,
                limit, token);
            await using var reader = await command.ExecuteReaderAsync(token);
            var lines = new List<LogLine>();
            while (await reader.ReadAsync(token))
            {
                lines.Add(new LogLine
                {
                    Sequence = reader.GetInt64(0),
                    Time = Timestamp.FromDateTime(reader.GetDateTime(1)),
                    Attempt = reader.GetInt32(2),
                    Rank = reader.GetInt32(3),
                    Stream = System.Enum.Parse<LogStream>(reader.GetString(4)),
                    Text = reader.GetString(5),
                });
            }

            return lines;
        }, cancellationToken);

    /// <summary>The sequence after which the last lines begin: the given one, where there are fewer.</summary>
    /// <inheritdoc cref="ReadAsync"/>
    public Task<long> TailAsync(JobId job, long afterSequence, int? rank, int limit, CancellationToken cancellationToken) =>
        reading.RunAsync(async (connection, token) =>
        {
            await using var command = await CommandAsync(
                $"select case when count(*) < $4 then $2 else min(sequence) - 1 end from ({Lines} order by sequence desc limit $4) last",
                connection, job, afterSequence, rank, limit, token);
            return (long)(await command.ExecuteScalarAsync(token))!;
        }, cancellationToken);

    private static async Task<NpgsqlCommand> CommandAsync(
        string sql, NpgsqlConnection connection, JobId job, long afterSequence, int? rank, int limit, CancellationToken cancellationToken)
    {
        // No line was stored before its job was, but for the difference between two schedulers' clocks: older partitions are left out.
        await using var since = new NpgsqlCommand("select created_at - interval '1 hour' from jobs where id = $1", connection)
        {
            Parameters = { new() { Value = job.Value } },
        };
        return new NpgsqlCommand(sql, connection)
        {
            Parameters =
            {
                new() { Value = job.Value }, new() { Value = afterSequence },
                new() { Value = (object?)rank ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer }, new() { Value = limit },
                new()
                {
                    Value = await since.ExecuteScalarAsync(cancellationToken) ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz,
                },
            },
        };
    }

    private static async Task HoldAsync(
        NpgsqlConnection connection, NodeId node, JobId job, int attempt, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select 1 from jobs j where j.id = $1 and j.attempt = $2
                and exists (select 1 from device_grants g where g.job_id = $1 and g.attempt = $2 and g.node_id = $3)
            for share of j
            """, connection)
        {
            Parameters = { new() { Value = job.Value }, new() { Value = attempt }, new() { Value = node.Value } },
        };
        if (await command.ExecuteScalarAsync(cancellationToken) is null)
            throw new AttemptFencedException(
                $"attempt {attempt} of job {job} is not its last one, or never ran on node {node}; its output is not taken");
    }

    /// <returns>The number that the cursor stood at: lines before it are known.</returns>
    private static async Task<long> AdvanceAsync(
        NpgsqlConnection connection, NodeId node, JobId job, int attempt, long agentSequence, int count,
        CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            with before as (select next from log_cursors where job_id = $1 and attempt = $2 and node_id = $3),
            after as (
                insert into log_cursors values ($1, $2, $3, $4)
                on conflict (job_id, attempt, node_id) do update set next = greatest(log_cursors.next, excluded.next))
            select coalesce((select next from before), 1)
            """, connection)
        {
            Parameters =
            {
                new() { Value = job.Value }, new() { Value = attempt }, new() { Value = node.Value },
                new() { Value = agentSequence + count },
            },
        };
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <returns>What was stored, in bytes.</returns>
    private async Task<long> CopyAsync(
        NpgsqlConnection connection, JobId job, int attempt, IEnumerable<LogLine> lines, CancellationToken cancellationToken)
    {
        var bytes = 0L;
        var now = time.GetUtcNow().UtcDateTime;
        await using var copy = await connection.BeginBinaryImportAsync(
            "copy logs (job_id, time, attempt, rank, stream, text, stored_at) from stdin (format binary)", cancellationToken);
        foreach (var line in lines)
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(job.Value, NpgsqlDbType.Uuid, cancellationToken);
            await copy.WriteAsync(line.Time?.ToDateTime() ?? now, NpgsqlDbType.TimestampTz, cancellationToken);
            await copy.WriteAsync(attempt, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(line.Rank, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(line.Stream.ToString(), NpgsqlDbType.Text, cancellationToken);
            // Postgres holds no NUL in text, and a process may print one.
            var text = line.Text.Replace('\0', '\uFFFD');
            await copy.WriteAsync(text, NpgsqlDbType.Text, cancellationToken);
            await copy.WriteAsync(now, NpgsqlDbType.TimestampTz, cancellationToken);
            bytes += Encoding.UTF8.GetByteCount(text) + LogRetention.LineOverhead;
        }

        await copy.CompleteAsync(cancellationToken);
        return bytes;
    }
}
