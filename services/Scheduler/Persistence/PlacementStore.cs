using System.Data;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Placement;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Persistence;

/// <summary>What the placement cycle reads and writes: the snapshot, and where each waiting job stands.</summary>
internal sealed class PlacementStore(ClusterDatabase database, TimeProvider time)
{
    public Task<ClusterSnapshot> SnapshotAsync(CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            // One picture: a job that fails in between must not be missed while its devices already appear as free.
            await using var transaction = await context.Database.BeginTransactionAsync(IsolationLevel.RepeatableRead, token);
            var waiting = await context.Jobs.Where(j => j.State == JobState.Queued).ToListAsync(token);
            var nodes = await context.Nodes.OrderBy(n => n.Name).ThenBy(n => n.Id).ToListAsync(token);
            var held = (await (
                from grant in context.DeviceGrants
                join job in context.Jobs on grant.JobId equals job.Id
                where grant.ReleasedAt == null
                select new { grant.NodeId, grant.Device, job.Memory }).ToListAsync(token))
                .ToLookup(g => g.NodeId, g => KeyValuePair.Create(g.Device, RankMemory.Of(g.Memory).Cpu));
            return new ClusterSnapshot(
                time.GetUtcNow(), [.. nodes.Select(n => NodeCapacity.Of(n, held[n.Id].ToDictionary()))], [.. waiting.Select(ToWaiting)]);
        }, cancellationToken);

    /// <summary>Jobs whose attempt goes on, for the reconciler to touch.</summary>
    public Task<List<JobId>> ActiveJobsAsync(CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            var ids = await context.Jobs
                .Where(j => j.State == JobState.Starting || j.State == JobState.Running || j.State == JobState.Stopping)
                .Select(j => j.Id).ToListAsync(token);
            return ids.ConvertAll(id => new JobId(id));
        }, cancellationToken);

    /// <summary>Replaces all standings, and writes only those that differ.</summary>
    /// <returns>The jobs whose standing has changed.</returns>
    public Task<List<JobId>> WriteStandingsAsync(IReadOnlyList<PlacementDecision.Waits> waiting, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with gone as (delete from queue_standings where job_id <> all($1))
                insert into queue_standings
                select w.* from unnest($1::uuid[], $2::integer[], $3::text[]) w (job_id, position, reason) join jobs j on j.id = w.job_id
                on conflict (job_id) do update set position = excluded.position, reason = excluded.reason
                    where (queue_standings.position, queue_standings.reason) <> (excluded.position, excluded.reason)
                returning job_id
                """, connection)
            {
                Parameters =
                {
                    new() { Value = waiting.Select(w => w.Job.Value).ToArray() },
                    new() { Value = waiting.Select(w => w.Position).ToArray() }, new() { Value = waiting.Select(w => w.Reason).ToArray() },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var changed = new List<JobId>();
            while (await reader.ReadAsync(token))
                changed.Add(new JobId(reader.GetGuid(0)));
            return changed;
        }, cancellationToken);

    private static WaitingJob ToWaiting(JobRow row) => new(
        new JobId(row.Id), DeviceNeed.Of(row.Spec, row.Memory), row.Priority, row.CreatedAt, row.NotBefore,
        row.AvoidNodes.Select(id => new NodeId(id)).ToHashSet(), row.Reason);
}
