using System.Data;
using Cluster.Contracts;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
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
    public Task<PlacementNews> TakeOverAsync(Guid keeper, CancellationToken cancellationToken) =>
        ReadAsync(async (context, token) =>
        {
            await context.Database.ExecuteSqlAsync(
                $"""
                insert into placement_keeper (token) values ({keeper}) on conflict (one) do update set token = excluded.token;
                delete from placement_changes
                """, token);
            var nodes = await context.Nodes.ToListAsync(token);
            var news = new PlacementNews();
            news.Changes.AddRange(nodes.Select(row => new ClusterChange.NodeChanged(PlacementNames.NodeOf(row))));
            await ReadJobsAsync(context, null, news, token);
            return news;
        }, cancellationToken);

    /// <summary>What has become of jobs and nodes since the caller was told last.</summary>
    /// <param name="keeper">As given the last time.</param>
    /// <param name="next">For the next time: when an answer is lost on its way and the call is made again, that is found out.</param>
    /// <returns>Null if that is not known: another one has taken over, or was told instead.</returns>
    public Task<PlacementNews?> ChangesAsync(Guid keeper, Guid next, CancellationToken cancellationToken) =>
        ReadAsync(async (context, token) =>
        {
            if (await context.Database.ExecuteSqlAsync($"update placement_keeper set token = {next} where token = {keeper}", token) == 0)
                return null;
            var (jobs, nodes) = await TakeChangesAsync((NpgsqlConnection)context.Database.GetDbConnection(), token);
            var news = new PlacementNews();
            if (nodes.Length > 0)
            {
                var found = await context.Nodes.Where(n => nodes.Contains(n.Id)).ToDictionaryAsync(n => n.Id, token);
                news.Changes.AddRange(nodes.Select(ClusterChange (id) => found.TryGetValue(id, out var row)
                    ? new ClusterChange.NodeChanged(PlacementNames.NodeOf(row)) : new ClusterChange.NodeRemoved(new NodeKey(id))));
            }

            if (jobs.Length > 0)
                await ReadJobsAsync(context, jobs, news, token);
            return news;
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
            // It need not outlive a fall of Postgres: then the token is an older one, and everything is read anew.
            await context.Database.ExecuteSqlAsync(
                $"set local synchronous_commit = off; lock table placement_keeper in exclusive mode", token);
            var result = await read(context, token);
            await transaction.CommitAsync(token);
            return result;
        }, cancellationToken);

    /// <summary>
    /// Job by job: one that cannot be read is not placed and keeps no other job from it. What is granted is read apart, and stays taken.
    /// </summary>
    /// <param name="ids">Null: all that are not over.</param>
    private async Task ReadJobsAsync(ClusterDbContext context, Guid[]? ids, PlacementNews news, CancellationToken cancellationToken)
    {
        var connection = (NpgsqlConnection)context.Database.GetDbConnection();
        var open = (ids ?? []).ToHashSet();
        foreach (var granted in await ReadGrantsAsync(connection, ids, cancellationToken))
        {
            news.Changes.Add(granted);
            open.Remove(granted.Job.Value);
        }

        var which = ids is null ? "true" : "job_id = any($1)";
        await using var command = new NpgsqlCommand(
            $"""
            select job_id, queue, priority, age, not_before, avoid_nodes, devices, device_class, max_devices_per_node, node_labels,
                data_set, cpu_bytes, gpu_bytes, forecast_until is not null
            from job_queue where state = 'Queued' and not awaits_jobs and {which}
            """, connection);
        if (ids is not null)
            command.Parameters.Add(new NpgsqlParameter { Value = open.ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var id = reader.GetGuid(0);
            try
            {
                var job = ReadJob(reader);
                if (reader.GetBoolean(13))
                {
                    news.AwaitForecasts.Add(job);
                }
                else
                {
                    news.Changes.Add(new ClusterChange.JobQueued(job));
                    open.Remove(id);
                }
            }
            catch (Exception fault) when (fault is not (NpgsqlException or OperationCanceledException))
            {
                LogUnreadable(fault, new JobId(id));
            }
        }

        news.Changes.AddRange(open.Select(id => new ClusterChange.JobEnded(new JobKey(id))));
    }

    private static async Task<List<ClusterChange.JobGranted>> ReadGrantsAsync(
        NpgsqlConnection connection, Guid[]? jobs, CancellationToken cancellationToken)
    {
        var which = jobs is null ? "true" : "job_id = any($1)";
        await using var command = new NpgsqlCommand(
            $"""
            select job_id, node_id, device, cpu_bytes, gpu_bytes from device_grants
            where released_at is null and {which} order by job_id, rank
            """, connection);
        if (jobs is not null)
            command.Parameters.Add(new NpgsqlParameter { Value = jobs });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var grants = new List<(Guid Job, RankMemory Memory, GrantedDevice Device)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            grants.Add((reader.GetGuid(0), new RankMemory(reader.GetInt64(3), reader.GetInt64(4)),
                new GrantedDevice(new NodeKey(reader.GetGuid(1)), reader.GetString(2))));
        }

        return [.. grants.GroupBy(grant => grant.Job).Select(
            same => new ClusterChange.JobGranted(new JobKey(same.Key), same.First().Memory, [.. same.Select(grant => grant.Device)]))];
    }

    private static WaitingJob ReadJob(NpgsqlDataReader reader)
    {
        var need = new DeviceNeed(
            reader.GetInt32(6), reader.IsDBNull(7) ? null : Enum.Parse<DeviceClass>(reader.GetString(7)), reader.GetInt32(8),
            JsonColumn.Read<Dictionary<string, string>>(reader.GetString(9)), reader.GetString(10),
            new RankMemory(reader.GetInt64(11), reader.GetInt64(12)));
        return new WaitingJob(
            new JobKey(reader.GetGuid(0)), new QueueKey(reader.GetString(1)), need, reader.GetInt32(2),
            reader.GetFieldValue<DateTimeOffset>(3), reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4),
            reader.GetFieldValue<Guid[]>(5).Select(node => new NodeKey(node)).ToHashSet());
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

/// <summary>What has become of jobs and nodes.</summary>
internal sealed class PlacementNews
{
    public List<ClusterChange> Changes { get; } = [];

    /// <summary>Jobs that placement is told of later, when it is known what memory they take; until then they are none of its.</summary>
    public List<WaitingJob> AwaitForecasts { get; } = [];
}
