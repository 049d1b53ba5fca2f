using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Jobs;

/// <summary>Where waiting jobs stand, counted when it is asked for.</summary>
internal static class QueuePlaces
{
    /// <summary>So far the line is counted: what a person at its end wants to know is that it is long, and what is asked for costs no more.
    /// </summary>
    public const int Counted = 1000;

    /// <summary>Of those of the jobs that wait.</summary>
    public static async Task<Dictionary<Guid, QueuePlace>> OfAsync(
        ClusterDbContext context, IReadOnlyList<JobRow> jobs, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var waiting = jobs.Where(job => job.State == JobState.Queued).ToList();
        if (waiting.Count == 0)
            return [];
        await context.Database.OpenConnectionAsync(cancellationToken);
        var connection = (NpgsqlConnection)context.Database.GetDbConnection();
        var shapes = waiting.ToDictionary(
            job => job.Id,
            job => Convert.ToHexString(PlacementNames.Digest(PlacementNames.NeedOf(job.Spec, job.Memory, job.ExcludedNodes).Shape())));
        var reasons = await ReasonsAsync(
            connection, [.. waiting.Select(job => (job.Queue, shapes[job.Id])).Distinct()], cancellationToken);
        var standings = await StandingsAsync(connection, waiting.ConvertAll(job => job.Id), now, cancellationToken);
        return waiting.ToDictionary(job => job.Id, job => Of(job, reasons.GetValueOrDefault((job.Queue, shapes[job.Id]))));

        // In its pause a job is not in line, nor while it is not known what it takes.
        QueuePlace Of(JobRow job, QueueReason? reason)
        {
            if (job.NotBefore is { } end && end > now)
                return new QueuePlace(null, QueueReason.Of(WaitReason.BackingOff(end, job.Reason)));
            if (!standings.TryGetValue(job.Id, out var standing))
                return new QueuePlace(null, reason);
            if (standing.Awaits is { } others)
                return new QueuePlace(null, QueueReason.OtherJobs with { Words = others });
            // The job may have been read before its forecast came: it is told as of then.
            return standing.AwaitsForecast || (standing.HasForecast && job.Memory is null)
                ? new QueuePlace(null, QueueReason.Forecast)
                : new QueuePlace(standing.ToMessage(), reason);
        }
    }

    private static async Task<Dictionary<(string Queue, string Shape), QueueReason>> ReasonsAsync(
        NpgsqlConnection connection, List<(string Queue, string Shape)> waiting, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select queue, shape, code, reason from waiting_reasons
            where (queue, shape) in (select * from unnest($1::text[], $2::bytea[]))
            """, connection)
        {
            Parameters =
            {
                new() { Value = waiting.Select(each => each.Queue).ToArray() },
                new() { Value = waiting.Select(each => Convert.FromHexString(each.Shape)).ToArray() },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var reasons = new Dictionary<(string, string), QueueReason>();
        while (await reader.ReadAsync(cancellationToken))
        {
            reasons.Add(
                (reader.GetString(0), Convert.ToHexString(reader.GetFieldValue<byte[]>(1))),
                new QueueReason(reader.GetString(2), reader.GetString(3)));
        }

        return reasons;
    }

    /// <summary>In its queue, in placement's order: <see cref="QueueOrder"/>. No position: it comes after all that are counted.</summary>
    private static async Task<Dictionary<Guid, Standing>> StandingsAsync(
        NpgsqlConnection connection, List<Guid> jobs, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            with head as (
                select first.* from (select distinct queue from job_queue where job_id = any($1)) line cross join lateral (
                    select queue, job_id, priority, age from job_queue
                    where queue = line.queue and state = 'Queued' and forecast_until is null and not awaits_jobs
                        and (not_before is null or not_before <= $2)
                    order by priority desc, age, job_id limit $3) first),
            line as (
                select job_id, row_number() over (partition by queue order by priority desc, age, job_id) as position from head)
            select q.job_id, q.forecast_until is not null, q.cpu_bytes > 0, line.position::integer, likely, late, sooner,
                case when q.awaits_jobs then coalesce(others.words,
                    'waits for its turn in the array, of which ' || t.at_once || ' may go on at once', $4) end
            from job_queue q left join line using (job_id) left join expected_starts using (job_id)
            left join lateral (
                select 'waits for ' || string_agg(
                    'job ' || left(d.on_job::text, 8) || case d.wanted when 'Succeeded' then ' to succeed' else ' to end' end, ', '
                    order by d.on_job) as words
                from job_dependencies d join jobs j on j.id = d.on_job
                where d.job_id = q.job_id and j.state not in ('Succeeded', 'Failed', 'Cancelled')) others on true
            left join array_turns t using (job_id)
            where q.job_id = any($1) and q.state = 'Queued'
            """, connection)
        {
            Parameters =
            {
                new() { Value = jobs }, new() { Value = now }, new() { Value = Counted },
                new() { Value = QueueReason.OtherJobs.Words },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var standings = new Dictionary<Guid, Standing>();
        while (await reader.ReadAsync(cancellationToken))
        {
            standings.Add(reader.GetGuid(0), new Standing(
                reader.GetBoolean(1), reader.GetBoolean(2), reader.IsDBNull(3) ? null : reader.GetInt32(3),
                reader.IsDBNull(4) ? null : (reader.GetFieldValue<DateTimeOffset>(4), reader.GetFieldValue<DateTimeOffset>(5)),
                reader.IsDBNull(6) ? "" : reader.GetString(6), reader.IsDBNull(7) ? null : reader.GetString(7)));
        }

        return standings;
    }

    /// <param name="Position">Null: it comes after all that are counted.</param>
    /// <param name="Sooner">One a line.</param>
    /// <param name="Awaits">What it waits for before placement is told of it; null: nothing.</param>
    private sealed record Standing(
        bool AwaitsForecast, bool HasForecast, int? Position, (DateTimeOffset Likely, DateTimeOffset Late)? Start, string Sooner,
        string? Awaits)
    {
        public QueueStanding ToMessage() => new()
        {
            Position = Position ?? Counted,
            OrLater = Position is null,
            EstimatedStart = Start?.Likely.ToTimestamp(),
            LateStart = Start?.Late.ToTimestamp(),
            Sooner = { Sooner.Split('\n', StringSplitOptions.RemoveEmptyEntries) },
        };
    }
}

/// <param name="Standing">Null while it is not in line.</param>
/// <param name="Reason">Null until placement has looked at a job of its shape.</param>
internal sealed record QueuePlace(QueueStanding? Standing, QueueReason? Reason);

/// <param name="Code">As <see cref="WaitCauses.Code"/>, or that of <see cref="Forecast"/>.</param>
internal sealed record QueueReason(string Code, string Words)
{
    /// <summary>Of a job of which placement does not know yet.</summary>
    public static QueueReason Forecast { get; } =
        new("waiting_for_forecast", "waits to hear from a node what memory it will take");

    /// <summary>Of a job that placement is not told of before others are over.</summary>
    public static QueueReason OtherJobs { get; } = new("waiting_for_jobs", "waits for other jobs");

    public static QueueReason Of(WaitReason reason) => new(reason.Cause.Code(), reason.Words);
}
