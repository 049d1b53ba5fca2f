using System.Collections.Immutable;
using System.Data;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>What placement reads and writes: what has become of jobs and nodes, and why jobs wait.</summary>
internal sealed partial class PlacementStore(ClusterDatabase database, ILogger<PlacementStore> logger)
{
    /// <summary>All that waits, holds devices or is registered. From then on it is the caller that is told of changes.</summary>
    /// <param name="keeper">Made by the caller for this, and shown when it asks for what has changed since.</param>
    public Task<List<ClusterChange>> TakeOverAsync(Guid keeper, CancellationToken cancellationToken) =>
        ReadAsync<List<ClusterChange>>(async (context, token) =>
        {
            await context.Database.ExecuteSqlAsync(
                $"""
                insert into placement_keeper (token) values ({keeper}) on conflict (one) do update set token = excluded.token;
                delete from placement_changes
                """, token);
            var nodes = await context.Nodes.ToListAsync(token);
            var grants = await GrantsAsync(context.DeviceGrants, token);
            var jobs = await JobsAsync(context, "state not in ('Succeeded', 'Failed', 'Cancelled')", ids: [], grants, token);
            return [.. nodes.Select(row => new ClusterChange.NodeChanged(PlacementNames.NodeOf(row))), .. jobs.Values];
        }, cancellationToken);

    /// <summary>What has become of jobs and nodes since the caller was told last.</summary>
    /// <param name="keeper">As given the last time.</param>
    /// <param name="next">For the next time: when an answer is lost on its way and the call is made again, that is found out.</param>
    /// <returns>Null if that is not known: another one has taken over, or was told instead.</returns>
    public Task<List<ClusterChange>?> ChangesAsync(Guid keeper, Guid next, CancellationToken cancellationToken) =>
        ReadAsync(async (context, token) =>
        {
            if (await context.Database.ExecuteSqlAsync($"update placement_keeper set token = {next} where token = {keeper}", token) == 0)
                return null;
            var (jobs, nodes) = await TakeChangesAsync((NpgsqlConnection)context.Database.GetDbConnection(), token);
            List<ClusterChange> changes = [];
            if (nodes.Length > 0)
            {
                var found = await context.Nodes.Where(n => nodes.Contains(n.Id)).ToDictionaryAsync(n => n.Id, token);
                changes.AddRange(nodes.Select(ClusterChange (id) => found.TryGetValue(id, out var row)
                    ? new ClusterChange.NodeChanged(PlacementNames.NodeOf(row)) : new ClusterChange.NodeRemoved(new NodeKey(id))));
            }

            if (jobs.Length > 0)
            {
                var grants = await GrantsAsync(context.DeviceGrants.Where(g => jobs.Contains(g.JobId)), token);
                var found = await JobsAsync(context, "id = any($1)", jobs, grants, token);
                changes.AddRange(jobs.Select(id => found.GetValueOrDefault(id, new ClusterChange.JobEnded(new JobKey(id)))));
            }

            return changes;
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

    /// <summary>Writes why jobs wait, set-wise.</summary>
    /// <param name="keepOthers">False: those that are not given are wrong.</param>
    /// <param name="gone">Nobody waits so any more.</param>
    public Task<int> WriteReasonsAsync(
        IReadOnlyCollection<WaitingShape> changed, IReadOnlyCollection<(QueueKey Queue, string Shape)> gone, bool keepOthers,
        CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with gone as (
                    delete from waiting_reasons r where (not $7 or (queue, shape) in (select * from unnest($5::text[], $6::bytea[])))
                        and (queue, shape) not in (select * from unnest($1::text[], $2::bytea[])))
                insert into waiting_reasons select * from unnest($1::text[], $2::bytea[], $3::text[], $4::text[])
                on conflict (queue, shape) do update set code = excluded.code, reason = excluded.reason
                """, connection)
            {
                Parameters =
                {
                    new() { Value = changed.Select(w => w.Queue.Name).ToArray() },
                    new() { Value = changed.Select(w => PlacementNames.Digest(w.Shape)).ToArray() },
                    new() { Value = changed.Select(w => w.Reason.Cause.Code()).ToArray() },
                    new() { Value = changed.Select(w => w.Reason.Words).ToArray() },
                    new() { Value = gone.Select(w => w.Queue.Name).ToArray() },
                    new() { Value = gone.Select(w => PlacementNames.Digest(w.Shape)).ToArray() }, new() { Value = keepOthers },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>
    /// One picture: a job that fails in between must not be missed while its devices already appear as free. The lock comes first, before
    /// the picture is taken: so whoever takes over sees all that the one before it was told of.
    /// </summary>
    private Task<T> ReadAsync<T>(Func<ClusterDbContext, CancellationToken, Task<T>> read, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            await using var transaction = await context.Database.BeginTransactionAsync(IsolationLevel.RepeatableRead, token);
            await context.Database.ExecuteSqlAsync($"lock table placement_keeper in exclusive mode", token);
            var result = await read(context, token);
            await transaction.CommitAsync(token);
            return result;
        }, cancellationToken);

    private static async Task<ILookup<Guid, GrantedDevice>> GrantsAsync(
        IQueryable<DeviceGrantRow> grants, CancellationToken cancellationToken)
    {
        var active = await grants.Where(g => g.ReleasedAt == null).OrderBy(g => g.Rank).Select(g => new { g.JobId, g.NodeId, g.Device })
            .ToListAsync(cancellationToken);
        return active.ToLookup(g => g.JobId, g => new GrantedDevice(new NodeKey(g.NodeId), g.Device));
    }

    /// <summary>
    /// Row by row: one that cannot be read is not placed and keeps no other job from it, and what it holds already stays taken.
    /// </summary>
    /// <param name="which">A condition, with the ids as its one parameter or none.</param>
    private async Task<Dictionary<Guid, ClusterChange>> JobsAsync(
        ClusterDbContext context, string which, Guid[] ids, ILookup<Guid, GrantedDevice> grants, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"select id, state, priority, created_at, not_before, avoid_nodes, spec, memory from jobs where {which}",
            (NpgsqlConnection)context.Database.GetDbConnection());
        if (ids.Length > 0)
            command.Parameters.Add(new NpgsqlParameter { Value = ids });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var jobs = new Dictionary<Guid, ClusterChange>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var id = reader.GetGuid(0);
            try
            {
                jobs.Add(id, ReadJob(reader, new JobKey(id), [.. grants[id]]));
            }
            catch (Exception fault) when (fault is not (NpgsqlException or OperationCanceledException))
            {
                LogUnreadable(fault, new JobId(id));
                jobs.Add(id, grants.Contains(id)
                    ? new ClusterChange.JobGranted(new JobKey(id), default, [.. grants[id]])
                    : new ClusterChange.JobEnded(new JobKey(id)));
            }
        }

        return jobs;
    }

    private static ClusterChange ReadJob(NpgsqlDataReader reader, JobKey id, ImmutableArray<GrantedDevice> grants)
    {
        var memory = reader.IsDBNull(7) ? null : JsonColumn.Read<MemoryEstimate>(reader.GetString(7));
        if (grants.Length > 0)
            return new ClusterChange.JobGranted(id, PlacementNames.MemoryOf(memory), grants);
        if (reader.GetString(1) != nameof(JobState.Queued))
            return new ClusterChange.JobEnded(id);
        return new ClusterChange.JobQueued(new WaitingJob(
            id, QueueKey.Default, PlacementNames.NeedOf(JsonColumn.Read<JobSpec>(reader.GetString(6)), memory), reader.GetInt32(2),
            reader.GetFieldValue<DateTimeOffset>(3), reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4),
            reader.GetFieldValue<Guid[]>(5).Select(node => new NodeKey(node)).ToHashSet()));
    }

    private static async Task<(Guid[] Jobs, Guid[] Nodes)> TakeChangesAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var (jobs, nodes) = (new HashSet<Guid>(), new HashSet<Guid>());
        await using var command = new NpgsqlCommand("delete from placement_changes returning job_id, node_id", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (await reader.IsDBNullAsync(0, cancellationToken))
                nodes.Add(reader.GetGuid(1));
            else
                jobs.Add(reader.GetGuid(0));
        }

        return ([.. jobs], [.. nodes]);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} cannot be placed: its row cannot be read")]
    private partial void LogUnreadable(Exception fault, JobId jobId);
}
