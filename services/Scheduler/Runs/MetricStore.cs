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
    /// Where points have been dropped, a first read gives those that are kept downsampled.
    /// </summary>
    /// <param name="names">Empty: all series.</param>
    /// <param name="afterStep">Points up to this step are left out.</param>
    /// <param name="afterCursor">Points that arrived up to this cursor are left out; 0 for a first read.</param>
    public async IAsyncEnumerable<MetricPage> ReadAsync(
        JobId job, IReadOnlyCollection<string> names, long afterStep, long afterCursor,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (await ExtentAsync(job, cancellationToken) is not { } extent)
            yield break;
        const string Newest = $"select max(cursor) from metrics where {MetricExtent.Rows}";
        var newest = await OneAsync(Newest, extent.Parameters(), cancellationToken) ?? 0;
        var pages = afterCursor == 0
            ? HistoryAsync(extent, newest, names, afterStep, cancellationToken)
            : ArrivalsAsync(extent, newest, names, afterCursor, cancellationToken);
        await foreach (var page in pages)
            yield return afterStep == 0 ? page : page with { Points = [.. page.Points.Where(point => point.Step > afterStep)] };
    }

    /// <summary>The names of a job's series, also of those of which only downsampled points are left.</summary>
    public async Task<IReadOnlyCollection<string>> NamesAsync(JobId job, CancellationToken cancellationToken)
    {
        if (await ExtentAsync(job, cancellationToken) is not { } extent)
            return [];
        const string Rolled = "select distinct name from metric_rollup_parts where job_id = $1";
        var rolled = await QueryAsync(Rolled, [job.Value], row => row.GetString(0), cancellationToken);
        return [.. (await NamesAsync(extent, cancellationToken)).Union(rolled, StringComparer.Ordinal)];
    }

    private async IAsyncEnumerable<MetricPage> HistoryAsync(
        MetricExtent extent, long newest, IReadOnlyCollection<string> names, long afterStep,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var rolled = await RolledAsync(extent.Job, names, cancellationToken);
        var series = names.Count > 0 ? names : (await NamesAsync(extent, cancellationToken)).Concat(rolled.Keys);
        foreach (var name in series.Distinct().Order(StringComparer.Ordinal))
        {
            if (rolled.TryGetValue(name, out var downsampled))
            {
                var kept = await KeptAsync(extent, name, downsampled, cancellationToken);
                if (kept.Count > 0)
                    yield return new MetricPage(kept, newest);
            }

            // Where a page ends is asked for first: so no more rows are read than it has, whatever the database thinks of its plan.
            var begin = afterStep;
            while (await OneAsync(
                $"""
                select max(step) from (
                    select step from metrics where {MetricExtent.Rows} and name = $4 and step > $5 order by step limit {PageRows}) page
                """,
                extent.Parameters(name, begin), cancellationToken) is { } end)
            {
                const string Page = "name = $6 and step > $7 and step <= $8";
                var points = await PointsAsync(extent, newest, Page, [name, begin, end], cancellationToken);
                if (points.Count > 0)
                    yield return new MetricPage(points, newest);
                begin = end;
            }
        }
    }

    private async IAsyncEnumerable<MetricPage> ArrivalsAsync(
        MetricExtent extent, long newest, IReadOnlyCollection<string> names, long afterCursor,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var begin = afterCursor;
        while (await OneAsync(
            $"""
            select max(cursor) from (
                select cursor from metrics where {MetricExtent.Rows} and cursor > $4 and cursor <= $5 order by cursor limit {PageRows}) page
            """,
            extent.Parameters(begin, newest), cancellationToken) is { } end)
        {
            const string Page = "(cardinality($6) = 0 or name = any($6)) and cursor > $7 and cursor <= $8";
            // Also where no point of it counts: the next read need not look at its rows again.
            yield return new MetricPage(await PointsAsync(extent, newest, Page, [names.ToArray(), begin, end], cancellationToken), end);
            begin = end;
        }
    }

    /// <returns>Null: there is no such job.</returns>
    private async Task<MetricExtent?> ExtentAsync(JobId job, CancellationToken cancellationToken) =>
        (await QueryAsync(MetricExtent.Sql, [job.Value], row => MetricExtent.Read(job, row), cancellationToken)).SingleOrDefault();

    private Task<IReadOnlyDictionary<string, RolledSeries>> RolledAsync(
        JobId job, IReadOnlyCollection<string> names, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    new(MetricRollup.Sql) { Parameters = { new() { Value = job.Value } } },
                    new(MetricRollup.PartsSql) { Parameters = { new() { Value = job.Value }, new() { Value = names.ToArray() } } },
                },
            };
            await using var reader = await batch.ExecuteReaderAsync(token);
            return (await MetricRollup.ReadAsync(reader, token)).Series;
        }, cancellationToken);

    /// <summary>What is kept downsampled of the steps before the first whose points are there.</summary>
    private async Task<IReadOnlyList<MetricPoint>> KeptAsync(
        MetricExtent extent, string name, RolledSeries series, CancellationToken cancellationToken)
    {
        var first = await OneAsync(
            $"select min(step) from metrics where {MetricExtent.Rows} and name = $4", extent.Parameters(name), cancellationToken);
        return [.. series.Points
            .Where(point => point.X < (first ?? long.MaxValue) && extent.Counts(point.Attempt, point.X))
            .Select(point => ToMessage(name, point))];
    }

    internal static MetricPoint ToMessage(string name, CurvePoint point) =>
        new() { Name = name, Step = point.X, Epoch = point.Epoch, Time = Timestamp.FromDateTime(point.Time), Value = point.Y };

    /// <summary>Each through the index: there are few of them, and perhaps millions of their points.</summary>
    private Task<IReadOnlyList<string>> NamesAsync(MetricExtent extent, CancellationToken cancellationToken) =>
        QueryAsync(
            $"""
            with recursive series as (
                select min(name) as name from metrics where {MetricExtent.Rows}
                union all
                select (select min(name) from metrics where {MetricExtent.Rows} and name > series.name)
                from series where series.name is not null)
            select name from series where name is not null
            """, extent.Parameters(), row => row.GetString(0), cancellationToken);

    /// <returns>Null where there is no such row.</returns>
    private async Task<long?> OneAsync(string sql, object[] parameters, CancellationToken cancellationToken) =>
        (await QueryAsync(sql, parameters, row => row.IsDBNull(0) ? (long?)null : row.GetInt64(0), cancellationToken))[0];

    private Task<IReadOnlyList<MetricPoint>> PointsAsync(
        MetricExtent extent, long newest, string condition, object[] bounds, CancellationToken cancellationToken) =>
        QueryAsync(
            // The attempt is its last step's place in the array, from 1.
            $"""
            select distinct on (name, step) name, step, epoch, time, value
            from metrics
            where {MetricExtent.Rows} and cursor <= $4 and step <= coalesce(($5::bigint[])[attempt], step) and {condition}
            order by name, step, attempt desc, rank, cursor desc
            """,
            extent.Parameters([newest, extent.LastSteps, .. bounds]),
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
            "copy metrics (job_id, attempt, rank, name, step, epoch, time, value, stored_at) from stdin (format binary)",
            cancellationToken);
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
            await copy.WriteAsync(now.UtcDateTime, NpgsqlDbType.TimestampTz, cancellationToken);
        }

        await copy.CompleteAsync(cancellationToken);
    }
}

/// <param name="Cursor">Of the last page: pass it as the next read's <c>afterCursor</c> to get what arrived since.</param>
public sealed record MetricPage(IReadOnlyList<MetricPoint> Points, long Cursor);
