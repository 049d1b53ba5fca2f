using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Google.Protobuf.WellKnownTypes;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Persistence;

/// <summary>A run's series: appended by COPY, never changed, read as one history over all attempts.</summary>
/// <remarks>
/// A restarted attempt repeats the steps after its checkpoint. Of an earlier attempt only the points up to the step that
/// each later one resumed from count, and of several ranks the lowest speaks.
/// </remarks>
public sealed class MetricStore(ClusterDatabase database)
{
    // One read's share of a history of any length: some hundred kilobytes.
    private const int PageRows = 5000;

    // The attempt is the row's place in the array, from 1; null where no later attempt resumed from a checkpoint.
    private const string IsNotSuperseded = "m.step <= coalesce(($5::bigint[])[m.attempt], m.step)";

    /// <summary>Points of a run as of now, page by page: a first read in ascending step order, one series after another; later ones as they arrived.</summary>
    /// <param name="names">Empty: all series.</param>
    /// <param name="afterStep">Points up to this step are left out.</param>
    /// <param name="afterCursor">Points that arrived up to this cursor are left out; 0 for a first read.</param>
    public async IAsyncEnumerable<MetricPage> ReadAsync(
        JobId job, IReadOnlyCollection<string> names, long afterStep, long afterCursor, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var extent = await ExtentAsync(job, cancellationToken);
        if (extent.Cursor <= afterCursor)
            yield break;
        var query = new MetricQuery(job, [.. names], afterStep, extent);
        var pages = afterCursor == 0 ? HistoryAsync(query, cancellationToken) : ArrivalsAsync(query, afterCursor, cancellationToken);
        await foreach (var page in pages)
            yield return page;
    }

    private async IAsyncEnumerable<MetricPage> HistoryAsync(MetricQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (name, step) = ("", long.MinValue);
        while (true)
        {
            var points = await PointsAsync(
                $"""
                select distinct on (m.name, m.step) m.name, m.step, m.epoch, m.time, m.value
                from metrics m
                where m.job_id = $1 and (cardinality($2::text[]) = 0 or m.name = any($2)) and m.step > $3 and m.cursor <= $4 and {IsNotSuperseded}
                  and (m.name, m.step) > ($6, $7)
                order by m.name, m.step, m.attempt desc, m.rank, m.cursor desc
                limit {PageRows}
                """, query, [name, step], cancellationToken);
            if (points.Count > 0)
                yield return new MetricPage(points, query.Extent.Cursor);
            if (points.Count < PageRows)
                yield break;
            (name, step) = (points[^1].Name, points[^1].Step);
        }
    }

    private async IAsyncEnumerable<MetricPage> ArrivalsAsync(MetricQuery query, long afterCursor, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await PageEndAsync(query, afterCursor, cancellationToken) is { } end)
        {
            var points = await PointsAsync(
                $"""
                select distinct on (m.name, m.step) m.name, m.step, m.epoch, m.time, m.value
                from metrics m
                where m.job_id = $1 and (cardinality($2::text[]) = 0 or m.name = any($2)) and m.step > $3 and m.cursor <= $4 and {IsNotSuperseded}
                  and m.cursor > $6 and m.cursor <= $7
                order by m.name, m.step, m.attempt desc, m.rank, m.cursor desc
                """, query, [afterCursor, end], cancellationToken);
            // Also where no point of it counts: the next read need not look at these rows again.
            yield return new MetricPage(points, end);
            afterCursor = end;
        }
    }

    private Task<MetricExtent> ExtentAsync(JobId job, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select coalesce((select max(cursor) from metrics where job_id = $1), 0), array(
                    select min(a.resume_step) over (order by n rows between 1 following and unbounded following)
                    from generate_series(1, (select max(number) from attempts where job_id = $1)) n
                    left join attempts a on a.job_id = $1 and a.number = n
                    order by n)
                """, connection)
            {
                Parameters = { new() { Value = job.Value } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            await reader.ReadAsync(token);
            return new MetricExtent(reader.GetInt64(0), reader.GetFieldValue<long?[]>(1));
        }, cancellationToken);

    /// <returns>The cursor of the last row of the next page; null where there is none.</returns>
    private Task<long?> PageEndAsync(MetricQuery query, long afterCursor, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                $"""
                select max(cursor) from (
                    select cursor from metrics where job_id = $1 and cursor > $2 and cursor <= $3 order by cursor limit {PageRows}) page
                """, connection)
            {
                Parameters = { new() { Value = query.Job.Value }, new() { Value = afterCursor }, new() { Value = query.Extent.Cursor } },
            };
            return await command.ExecuteScalarAsync(token) as long?;
        }, cancellationToken);

    private Task<IReadOnlyList<MetricPoint>> PointsAsync(string sql, MetricQuery query, object[] bounds, CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<MetricPoint>>(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection)
            {
                Parameters =
                {
                    new() { Value = query.Job.Value }, new() { Value = query.Names }, new() { Value = query.AfterStep },
                    new() { Value = query.Extent.Cursor }, new() { Value = query.Extent.LastSteps },
                    new() { Value = bounds[0] }, new() { Value = bounds[1] },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var points = new List<MetricPoint>();
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
            }

            return points;
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

/// <param name="Cursor">Of the last page: pass it as the next read's <c>afterCursor</c> to get what arrived since.</param>
public sealed record MetricPage(IReadOnlyList<MetricPoint> Points, long Cursor);

/// <param name="Cursor">The newest point's.</param>
/// <param name="LastSteps">Of each attempt, the last step that counts; null: all of them count.</param>
internal sealed record MetricExtent(long Cursor, long?[] LastSteps);

internal sealed record MetricQuery(JobId Job, string[] Names, long AfterStep, MetricExtent Extent);
