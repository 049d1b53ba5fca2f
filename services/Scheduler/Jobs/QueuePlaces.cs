using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Jobs;

/// <summary>Where waiting jobs stand, counted when it is asked for.</summary>
internal static class QueuePlaces
{
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
            job => job.Id, job => Convert.ToHexString(PlacementNames.Digest(PlacementNames.NeedOf(job.Spec, job.Memory).Shape())));
        var reasons = await ReasonsAsync(connection, shapes.Values, cancellationToken);
        var positions = await PositionsAsync(connection, waiting.ConvertAll(job => job.Id), now, cancellationToken);
        return waiting.ToDictionary(job => job.Id, job => Of(job, reasons.GetValueOrDefault(shapes[job.Id])));

        // In its pause a job is not in line.
        QueuePlace Of(JobRow job, QueueReason? reason) => job.NotBefore is { } end && end > now
            ? new QueuePlace(null, QueueReason.Of(WaitReason.BackingOff(end, job.Reason)))
            : new QueuePlace(positions.TryGetValue(job.Id, out var position) ? position : null, reason);
    }

    private static async Task<Dictionary<string, QueueReason>> ReasonsAsync(
        NpgsqlConnection connection, IEnumerable<string> shapes, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "select shape, code, reason from waiting_reasons where queue = $1 and shape = any($2)", connection)
        {
            Parameters =
            {
                new() { Value = QueueKey.Default.Name }, new() { Value = shapes.Distinct().Select(Convert.FromHexString).ToArray() },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var reasons = new Dictionary<string, QueueReason>();
        while (await reader.ReadAsync(cancellationToken))
            reasons.Add(Convert.ToHexString(reader.GetFieldValue<byte[]>(0)), new QueueReason(reader.GetString(1), reader.GetString(2)));
        return reasons;
    }

    /// <summary>In placement's order: <see cref="QueueOrder"/>.</summary>
    private static async Task<Dictionary<Guid, int>> PositionsAsync(
        NpgsqlConnection connection, List<Guid> jobs, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select id, position::integer from (
                select id, row_number() over (order by priority desc, created_at, id) as position from jobs
                where state = 'Queued' and (not_before is null or not_before <= $2)) line
            where id = any($1)
            """, connection)
        {
            Parameters = { new() { Value = jobs }, new() { Value = now } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var positions = new Dictionary<Guid, int>();
        while (await reader.ReadAsync(cancellationToken))
            positions.Add(reader.GetGuid(0), reader.GetInt32(1));
        return positions;
    }
}

/// <param name="Position">1 is the head; null while it is not in line.</param>
/// <param name="Reason">Null until placement has looked at a job of its shape.</param>
internal sealed record QueuePlace(int? Position, QueueReason? Reason);

/// <param name="Code">As <see cref="WaitCauses.Code"/>.</param>
internal sealed record QueueReason(string Code, string Words)
{
    public static QueueReason Of(WaitReason reason) => new(reason.Cause.Code(), reason.Words);
}
