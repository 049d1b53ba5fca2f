using Cluster.Contracts;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Runs;

/// <summary>A job's series as they are stored downsampled.</summary>
/// <param name="Cursor">Points that arrived up to this one are taken in.</param>
/// <param name="Attempt">The newest one then.</param>
internal sealed record MetricRollup(long Cursor, int Attempt, IReadOnlyDictionary<string, RolledSeries> Series)
{
    private const int PointsOfAPart = 256;

    public const string Sql = "select cursor, attempt from metric_rollups where job_id = $1";

    /// <summary>$2 are the names of the series that are wanted; none: all.</summary>
    public const string PartsSql =
        """
        select name, shift, steps, measured, epochs, times, attempts from metric_rollup_parts
        where job_id = $1 and (cardinality($2::text[]) = 0 or name = any($2)) order by name, first_step
        """;

    public static MetricRollup None { get; } = new(0, 0, new Dictionary<string, RolledSeries>());

    /// <param name="row">At the results of <see cref="Sql"/>, which those of <see cref="PartsSql"/> follow.</param>
    public static async Task<MetricRollup> ReadAsync(NpgsqlDataReader row, CancellationToken cancellationToken)
    {
        var rollup = await row.ReadAsync(cancellationToken) ? None with { Cursor = row.GetInt64(0), Attempt = row.GetInt32(1) } : None;
        await row.NextResultAsync(cancellationToken);
        var series = new Dictionary<string, RolledSeries>();
        while (await row.ReadAsync(cancellationToken))
        {
            var name = row.GetString(0);
            if (!series.TryGetValue(name, out var points))
                series.Add(name, points = new RolledSeries(row.GetInt32(1), [], []));
            var (steps, measured) = (row.GetFieldValue<long[]>(2), row.GetFieldValue<double[]>(3));
            var (epochs, times, attempts) =
                (row.GetFieldValue<int[]>(4), row.GetFieldValue<DateTime[]>(5), row.GetFieldValue<int[]>(6));
            points.PartStarts.Add(steps[0]);
            for (var at = 0; at < steps.Length; at++)
                points.Points.Add(new CurvePoint(steps[at], measured[at], epochs[at], times[at], attempts[at]));
        }

        return rollup with { Series = series };
    }

    /// <summary>Within the caller's transaction.</summary>
    public static async Task WriteAsync(
        NpgsqlConnection connection, JobId job, long cursor, int attempt, IReadOnlyCollection<SeriesChange> changes,
        CancellationToken cancellationToken)
    {
        await using (var batch = new NpgsqlBatch(connection))
        {
            batch.BatchCommands.Add(new(
                """
                insert into metric_rollups values ($1, $2, $3)
                on conflict (job_id) do update set cursor = excluded.cursor, attempt = excluded.attempt
                """)
            {
                Parameters = { new() { Value = job.Value }, new() { Value = cursor }, new() { Value = attempt } },
            });
            batch.BatchCommands.Add(new(
                """
                delete from metric_rollup_parts p using unnest($2::text[], $3::bigint[]) c (name, since)
                where p.job_id = $1 and p.name = c.name and p.first_step >= c.since
                """)
            {
                Parameters =
                {
                    new() { Value = job.Value }, new() { Value = changes.Select(c => c.Name).ToArray() },
                    new() { Value = changes.Select(c => c.Since).ToArray() },
                },
            });
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        await using var copy = await connection.BeginBinaryImportAsync(
            "copy metric_rollup_parts (job_id, name, first_step, shift, steps, measured, epochs, times, attempts) "
                + "from stdin (format binary)", cancellationToken);
        foreach (var change in changes)
        {
            foreach (var part in change.Points.Chunk(PointsOfAPart))
            {
                await copy.StartRowAsync(cancellationToken);
                await copy.WriteAsync(job.Value, NpgsqlDbType.Uuid, cancellationToken);
                await copy.WriteAsync(change.Name, NpgsqlDbType.Text, cancellationToken);
                await copy.WriteAsync(part[0].X, NpgsqlDbType.Bigint, cancellationToken);
                await copy.WriteAsync(change.Shift, NpgsqlDbType.Integer, cancellationToken);
                await copy.WriteAsync(Array.ConvertAll(part, p => p.X), NpgsqlDbType.Array | NpgsqlDbType.Bigint, cancellationToken);
                await copy.WriteAsync(Array.ConvertAll(part, p => p.Y), NpgsqlDbType.Array | NpgsqlDbType.Double, cancellationToken);
                await copy.WriteAsync(Array.ConvertAll(part, p => p.Epoch), NpgsqlDbType.Array | NpgsqlDbType.Integer, cancellationToken);
                await copy.WriteAsync(
                    Array.ConvertAll(part, p => p.Time), NpgsqlDbType.Array | NpgsqlDbType.TimestampTz, cancellationToken);
                await copy.WriteAsync(Array.ConvertAll(part, p => p.Attempt), NpgsqlDbType.Array | NpgsqlDbType.Integer, cancellationToken);
            }
        }

        await copy.CompleteAsync(cancellationToken);
    }
}

/// <param name="Shift">As wide as its buckets are at least.</param>
/// <param name="PartStarts">The first steps of the parts that it is stored in.</param>
internal sealed record RolledSeries(int Shift, List<long> PartStarts, List<CurvePoint> Points);

/// <param name="Since">What is stored of the series from this step on is replaced.</param>
internal sealed record SeriesChange(string Name, int Shift, long Since, IEnumerable<CurvePoint> Points);
