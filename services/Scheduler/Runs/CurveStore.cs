using System.Data;
using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Runs;

/// <summary>
/// A run's series downsampled. Of long ones the points are read once, by <see cref="RollUpAsync"/>, and from then on only those that have
/// come since.
/// </summary>
/// <remarks>
/// A curve is what <see cref="Curve"/> makes of the history that <see cref="MetricStore"/> reads, with roll-ups as without. From the first
/// step on of which something new has come the points themselves are read again, from the beginning of that step's bucket: so a point that
/// replaces another, or comes late, is taken for what it is. After a restart that takes back points all are read again.
/// </remarks>
public sealed class CurveStore(
    [FromKeyedServices(StorePool.Queries)] ClusterDatabase reading, [FromKeyedServices(StorePool.Bulk)] ClusterDatabase writing)
{
    /// <summary>A curve has at most so many: what is stored of a series is no finer. Several times what a screen is wide.</summary>
    public const int MostPoints = 12_288;

    /// <param name="names">Empty: all series.</param>
    public Task<RunCurves> ReadAsync(JobId job, IReadOnlyCollection<string> names, int maxPoints, CancellationToken cancellationToken) =>
        reading.RunAsync(async (connection, token) =>
        {
            // All of it as of one moment.
            await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, token);
            var read = await ReadAsync(connection, job, [.. names], maxPoints, token);
            await transaction.CommitAsync(token);
            return new RunCurves(read.Series.ToDictionary(s => s.Name, s => s.Curve), read.Cursor);
        }, cancellationToken);

    /// <summary>Takes in what has come since the last time. For one caller at a time: of two the database refuses one.</summary>
    /// <param name="maxPoints">Of a series; readers may ask for no more.</param>
    internal Task RollUpAsync(
        JobId job, CancellationToken cancellationToken, int maxPoints = MostPoints) => writing.RunAsync(async (connection, token) =>
    {
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, token);
        var read = await ReadAsync(connection, job, names: [], maxPoints, token);
        if (read.Extent is { } extent)
            await MetricRollup.WriteAsync(
                connection, job, read.Cursor, extent.Attempt, [.. read.Series.Select(s => s.Change()).OfType<SeriesChange>()], token);
        await transaction.CommitAsync(token);
        return true;
    }, cancellationToken);

    private static async Task<ReadSeries> ReadAsync(
        NpgsqlConnection connection, JobId job, string[] names, int maxPoints, CancellationToken cancellationToken)
    {
        var (extent, rollup) = await ReadStoredAsync(connection, job, names, cancellationToken);
        if (extent is null)
            return new ReadSeries(null, [], 0);
        var series = rollup.Series.ToDictionary(s => s.Key, s => new SeriesReading(s.Key, s.Value, maxPoints));
        var cursor = rollup.Cursor;
        List<SeriesReading>? unread = null;
        if (rollup.Cursor > 0)
        {
            unread = [];
            await foreach (var (name, firstStep, newest) in TailsAsync(connection, extent, names, rollup.Cursor, cancellationToken))
            {
                if (!series.TryGetValue(name, out var tail))
                    series.Add(name, tail = new SeriesReading(name, null, maxPoints));
                tail.ReadFrom(firstStep);
                cursor = Math.Max(cursor, newest);
            }

            foreach (var known in series.Values)
            {
                known.TakeBack(extent.LastStepOf(rollup.Attempt));
                if (known.Begin(extent))
                    unread.Add(known);
            }
        }

        if (unread is not { Count: 0 })
            cursor = Math.Max(cursor, await ReadPointsAsync(connection, extent, names, unread, series, maxPoints, cancellationToken));
        foreach (var known in series.Values)
            known.End();
        return new ReadSeries(extent, series.Values, cursor);
    }

    private static async Task<(MetricExtent? Extent, MetricRollup Rollup)> ReadStoredAsync(
        NpgsqlConnection connection, JobId job, string[] names, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new(MetricExtent.Sql) { Parameters = { new() { Value = job.Value } } },
                new(MetricRollup.Sql) { Parameters = { new() { Value = job.Value } } },
                new(MetricRollup.PartsSql) { Parameters = { new() { Value = job.Value }, new() { Value = names } } },
            },
        };
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var extent = await reader.ReadAsync(cancellationToken) ? MetricExtent.Read(job, reader) : null;
        await reader.NextResultAsync(cancellationToken);
        return (extent, await MetricRollup.ReadAsync(reader, cancellationToken));
    }

    /// <summary>Of each series of which something has come: the lowest step of that, and its newest cursor.</summary>
    private static async IAsyncEnumerable<(string Name, long FirstStep, long Cursor)> TailsAsync(
        NpgsqlConnection connection, MetricExtent extent, string[] names, long afterCursor,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = Command(
            connection,
            $"""
            select name, min(step), max(cursor) from metrics
            where {MetricExtent.Rows} and cursor > $4 and (cardinality($5::text[]) = 0 or name = any($5)) group by name
            """, extent.Parameters(afterCursor, names));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            yield return (reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2));
    }

    /// <param name="unread">The series that are read, each from its own step on; null: all that there are.</param>
    /// <returns>The newest cursor.</returns>
    private static async Task<long> ReadPointsAsync(
        NpgsqlConnection connection, MetricExtent extent, string[] names, List<SeriesReading>? unread,
        Dictionary<string, SeriesReading> series, int maxPoints, CancellationToken cancellationToken)
    {
        const string Columns = "step, epoch, time, value, attempt, rank, cursor";
        await using var command = unread is null
            ? Command(
                connection,
                $"""
                select name, {Columns} from metrics
                where {MetricExtent.Rows} and step > 0 and (cardinality($4::text[]) = 0 or name = any($4)) order by name, step
                """, extent.Parameters((object)names))
            : Command(
                connection,
                // The offset keeps each series to a look into its own index entries.
                $"""
                select s.name, {Columns} from unnest($4::text[], $5::bigint[]) s (name, since) cross join lateral (
                    select {Columns} from metrics where {MetricExtent.Rows} and name = s.name and step >= s.since offset 0) m
                order by s.name, step
                """,
                extent.Parameters(unread.Select(s => s.Name).ToArray(), unread.Select(s => Math.Max(1, s.Since)).ToArray()));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var (current, cursor) = ((SeriesReading?)null, 0L);
        while (await reader.ReadAsync(cancellationToken))
        {
            var name = reader.GetString(0);
            if (current?.Name != name && !series.TryGetValue(name, out current))
                series.Add(name, current = new SeriesReading(name, null, maxPoints));
            cursor = Math.Max(cursor, reader.GetInt64(7));
            var point = new CurvePoint(
                reader.GetInt64(1), reader.GetDouble(4), reader.GetInt32(2), reader.GetDateTime(3), reader.GetInt32(5));
            if (extent.Counts(point.Attempt, point.X))
                current.Add(point, reader.GetInt32(6), reader.GetInt64(7));
        }

        return cursor;
    }

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, object[] parameters)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        return command;
    }

    /// <param name="Extent">Null: there is no such job.</param>
    private sealed record ReadSeries(MetricExtent? Extent, IReadOnlyCollection<SeriesReading> Series, long Cursor);
}

/// <param name="Cursor">Of the newest point; 0: there is none. What arrives later is read on from there.</param>
public sealed record RunCurves(IReadOnlyDictionary<string, Curve> Series, long Cursor);
