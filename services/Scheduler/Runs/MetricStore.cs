using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Runs;

/// <summary>A run's series: appended by COPY, never changed, read as one history over all attempts.</summary>
/// <remarks>
/// A restarted attempt repeats the steps after its checkpoint. Of an earlier attempt only the points up to the step that
/// each later one resumed from count, and of several ranks the lowest speaks.
/// </remarks>
public sealed class MetricStore([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    // One read's share of a history of any length: a few megabytes.
    private const int PageRows = 10_000;

    /// <summary>
    /// Points of a run as of now, page by page: a first read in ascending step order, one series after another; later ones as they arrived.
    /// </summary>
    /// <param name="names">Empty: all series.</param>
    /// <param name="afterStep">Points up to this step are left out.</param>
    /// <param name="afterCursor">Points that arrived up to this cursor are left out; 0 for a first read.</param>
    public async IAsyncEnumerable<MetricPage> ReadAsync(
        JobId job, IReadOnlyCollection<string> names, long afterStep, long afterCursor,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var extent = await ExtentAsync(job, cancellationToken);
        var pages = afterCursor == 0
            ? HistoryAsync(extent, names, afterStep, cancellationToken)
            : ArrivalsAsync(extent, names, afterCursor, cancellationToken);
        await foreach (var page in pages)
            yield return afterStep == 0 ? page : page with { Points = [.. page.Points.Where(point => point.Step > afterStep)] };
    }

    private async IAsyncEnumerable<MetricPage> HistoryAsync(
        MetricExtent extent, IReadOnlyCollection<string> names, long afterStep,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var series = names.Count > 0 ? names : await NamesAsync(extent.Job, cancellationToken);
        foreach (var name in series.Distinct().Order(StringComparer.Ordinal))
        {
            // Where a page ends is asked for first: so no more rows are read than it has, whatever the database thinks of its plan.
            var begin = afterStep;
            while (await EndAsync(
                $"""
                select max(step) from (
                    select step from metrics where job_id = $1 and name = $2 and step > $3 order by step limit {PageRows}) page
                """,
                [extent.Job.Value, name, begin], cancellationToken) is { } end)
            {
                const string Page = "m.name = $4 and m.step > $5 and m.step <= $6";
                var points = await PointsAsync(extent, Page, [name, begin, end], cancellationToken);
                if (points.Count > 0)
                    yield return new MetricPage(points, extent.Cursor);
                begin = end;
            }
        }
    }

    private async IAsyncEnumerable<MetricPage> ArrivalsAsync(
        MetricExtent extent, IReadOnlyCollection<string> names, long afterCursor,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var begin = afterCursor;
        while (await EndAsync(
            $"""
            select max(cursor) from (
                select cursor from metrics where job_id = $1 and cursor > $2 and cursor <= $3 order by cursor limit {PageRows}) page
            """,
            [extent.Job.Value, begin, extent.Cursor], cancellationToken) is { } end)
        {
            const string Page = "(cardinality($4) = 0 or m.name = any($4)) and m.cursor > $5 and m.cursor <= $6";
            // Also where no point of it counts: the next read need not look at its rows again.
            yield return new MetricPage(await PointsAsync(extent, Page, [names.ToArray(), begin, end], cancellationToken), end);
            begin = end;
        }
    }

    private async Task<MetricExtent> ExtentAsync(JobId job, CancellationToken cancellationToken) =>
        (await QueryAsync(
            """
            select coalesce((select max(cursor) from metrics where job_id = $1), 0), array(
                select min(a.resume_step) over (order by n rows between 1 following and unbounded following)
                from generate_series(1, (select max(number) from attempts where job_id = $1)) n
                left join attempts a on a.job_id = $1 and a.number = n
                order by n)
            """, [job.Value], row => new MetricExtent(job, row.GetInt64(0), row.GetFieldValue<long?[]>(1)), cancellationToken))[0];

    /// <summary>Each through the index: there are few of them, and perhaps millions of their points.</summary>
    private Task<IReadOnlyList<string>> NamesAsync(JobId job, CancellationToken cancellationToken) =>
        QueryAsync(
            """
            with recursive series as (
                select min(name) as name from metrics where job_id = $1
                union all
                select (select min(name) from metrics where job_id = $1 and name > series.name) from series where series.name is not null)
            select name from series where name is not null
            """, [job.Value], row => row.GetString(0), cancellationToken);

    /// <returns>The step or the cursor of a page's last row; null where there are no more rows.</returns>
    private async Task<long?> EndAsync(string sql, object[] parameters, CancellationToken cancellationToken) =>
        (await QueryAsync(sql, parameters, row => row.IsDBNull(0) ? (long?)null : row.GetInt64(0), cancellationToken))[0];

    private Task<IReadOnlyList<MetricPoint>> PointsAsync(
        MetricExtent extent, string condition, object[] bounds, CancellationToken cancellationToken) =>
        QueryAsync(
            // The attempt is its last step's place in the array, from 1.
            $"""
            select distinct on (m.name, m.step) m.name, m.step, m.epoch, m.time, m.value
            from metrics m
            where m.job_id = $1 and m.cursor <= $2 and m.step <= coalesce(($3::bigint[])[m.attempt], m.step) and {condition}
            order by m.name, m.step, m.attempt desc, m.rank, m.cursor desc
            """,
            [extent.Job.Value, extent.Cursor, extent.LastSteps, .. bounds],
            row => new MetricPoint
            {
                Name = row.GetString(0),
                Step = row.GetInt64(1),
                Epoch = row.GetInt32(2),
                Time = Timestamp.FromDateTime(row.GetDateTime(3)),
                Value = row.GetDouble(4),
            }, cancellationToken);

    private Task<IReadOnlyList<T>> QueryAsync<T>(
        string sql, object[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<T>>(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var parameter in parameters)
                command.Parameters.Add(new NpgsqlParameter { Value = parameter });
            await using var reader = await command.ExecuteReaderAsync(token);
            var rows = new List<T>();
            while (await reader.ReadAsync(token))
                rows.Add(read(reader));
            return rows;
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

/// <summary>What there is of a job's points at one moment.</summary>
/// <param name="Cursor">The newest point's; 0: there is none.</param>
/// <param name="LastSteps">Of each attempt, the last step that counts; null: all of them count.</param>
internal sealed record MetricExtent(JobId Job, long Cursor, long?[] LastSteps);
