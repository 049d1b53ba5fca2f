using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Google.Protobuf.WellKnownTypes;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Persistence;

/// <summary>A run's series: appended by COPY, never changed, read as one history over all attempts.</summary>
public sealed class MetricStore(ClusterDatabase database)
{
    /// <summary>Points of a run, in ascending step order, one series after another.</summary>
    /// <remarks>
    /// A restarted attempt repeats the steps after its checkpoint. Of an earlier attempt only the points up to the step that
    /// each later one resumed from count, and of several ranks the lowest speaks.
    /// </remarks>
    /// <param name="names">Empty: all series.</param>
    /// <param name="afterStep">Points up to this step are left out.</param>
    /// <param name="afterCursor">Points that arrived up to this cursor are left out; 0 for a first read.</param>
    /// <returns>The points, and the cursor to go on from.</returns>
    public Task<MetricPage> ReadAsync(
        JobId job, IReadOnlyCollection<string> names, long afterStep, long afterCursor, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with superseding as (
                    select a.number as attempt, min(later.resume_step) as step
                    from attempts a join attempts later on later.job_id = a.job_id and later.number > a.number
                    where a.job_id = $1
                    group by a.number)
                select distinct on (m.name, m.step) m.name, m.step, m.epoch, m.time, m.value, m.cursor
                from metrics m left join superseding s on s.attempt = m.attempt
                where m.job_id = $1 and m.step > $3 and m.cursor > $4
                  and (cardinality($2::text[]) = 0 or m.name = any($2))
                  and (s.step is null or m.step <= s.step)
                order by m.name, m.step, m.attempt desc, m.rank, m.cursor desc
                """, connection)
            {
                Parameters =
                {
                    new() { Value = job.Value }, new() { Value = names.ToArray() }, new() { Value = afterStep }, new() { Value = afterCursor },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var points = new List<MetricPoint>();
            var cursor = afterCursor;
            while (await reader.ReadAsync(token))
            {
                points.Add(new MetricPoint
                {
                    Name = reader.GetString(0),
                    Step = reader.GetInt64(1),
                    Epoch = reader.GetInt32(2),
                    Time = Timestamp.FromDateTime(reader.GetDateTime(3)),
                    Value = reader.GetDouble(4),
                });
                cursor = Math.Max(cursor, reader.GetInt64(5));
            }

            return new MetricPage(points, cursor);
        }, cancellationToken);

    internal static async Task CopyAsync(
        NpgsqlConnection connection, AttemptCredential credential, IEnumerable<MetricPoint> points, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        await AdvisoryLocks.LockMetricsAsync(connection, credential.Job, cancellationToken);
        await using var copy = await connection.BeginBinaryImportAsync(
            "copy metrics (job_id, attempt, rank, name, step, epoch, time, value) from stdin (format binary)", cancellationToken);
        foreach (var point in points)
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(credential.Job.Value, NpgsqlDbType.Uuid, cancellationToken);
            await copy.WriteAsync(credential.Attempt, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(credential.Rank, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(point.Name, NpgsqlDbType.Text, cancellationToken);
            await copy.WriteAsync(point.Step, NpgsqlDbType.Bigint, cancellationToken);
            await copy.WriteAsync(point.Epoch, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(point.Time?.ToDateTime() ?? now.UtcDateTime, NpgsqlDbType.TimestampTz, cancellationToken);
            await copy.WriteAsync(point.Value, NpgsqlDbType.Double, cancellationToken);
        }

        await copy.CompleteAsync(cancellationToken);
    }
}

/// <param name="Cursor">Pass it as the next read's <c>afterCursor</c> to get what arrived since.</param>
public sealed record MetricPage(IReadOnlyList<MetricPoint> Points, long Cursor);
