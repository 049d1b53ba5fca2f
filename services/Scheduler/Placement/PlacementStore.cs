using System.Collections.Immutable;
using System.Data;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Placement.Running;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>What placement reads and writes: what has become of jobs, nodes and queues, and why jobs wait.</summary>
internal sealed partial class PlacementStore(
    ClusterDatabase database, IOptions<JobOptions> options, ILogger<PlacementStore> logger)
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
            // Queues first: each of them changes where all jobs stand.
            var queues = await context.Queues.OrderBy(q => q.Name).ToListAsync(token);
            news.Changes.AddRange(queues.Where(queue => !queue.SaysNothing).Select(ChangeOf));
            news.Changes.AddRange(queues.Select(queue => queue.ToUse()).OfType<ClusterChange.QueueUsed>());
            news.Changes.AddRange(nodes.Select(row => new ClusterChange.NodeChanged(PlacementNames.NodeOf(row))));
            await ReadJobsAsync(context, null, news, token);
            return news;
        }, cancellationToken);

    /// <summary>What has become of jobs, nodes and queues since the caller was told last.</summary>
    /// <param name="keeper">As given the last time.</param>
    /// <param name="next">For the next time: when an answer is lost on its way and the call is made again, that is found out.</param>
    /// <returns>Null if that is not known: another one has taken over, or was told instead.</returns>
    public Task<PlacementNews?> ChangesAsync(Guid keeper, Guid next, CancellationToken cancellationToken) =>
        ReadAsync(async (context, token) =>
        {
            if (await context.Database.ExecuteSqlAsync($"update placement_keeper set token = {next} where token = {keeper}", token) == 0)
                return null;
            var (jobs, nodes, queues) = await TakeChangesAsync((NpgsqlConnection)context.Database.GetDbConnection(), token);
            var news = new PlacementNews();
            if (queues.Length > 0)
            {
                var found = await context.Queues.Where(q => queues.Contains(q.Name)).ToDictionaryAsync(q => q.Name, token);
                news.Changes.AddRange(queues.Order(StringComparer.Ordinal).Select(ClusterChange (name) =>
                    found.TryGetValue(name, out var row) ? ChangeOf(row) : new ClusterChange.QueueRemoved(new QueueKey(name))));
            }

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
                data_set, cpu_bytes, gpu_bytes, forecast_until is not null, owner, yielded.jobs, own.node_ids, own.device_ids,
                r.jobs, log_mean, log_variance, min_devices, excluded_nodes, max_runtime, awaits_jobs
            from job_queue q left join runtimes r using (likeness)
            left join lateral (
                select array_agg(coalesce(preempted_for, resized_for)) as jobs from attempts a
                where a.job_id = q.job_id and (a.preempted_for is not null or a.resized_for is not null)) yielded on true
            -- After a failure: what it had, unless a node failed it there the second time in a row. Shrunk or grown: what it is to have.
            left join lateral (
                select coalesce(a.next_nodes, array_agg(g.node_id order by g.rank)) as node_ids,
                    coalesce(a.next_devices, array_agg(g.device order by g.rank)) as device_ids
                from attempts a join device_grants g on g.job_id = a.job_id and g.attempt = a.number
                where (q.not_before is not null or q.min_devices > 0) and a.job_id = q.job_id
                    and a.number = (select max(number) from attempts last where last.job_id = q.job_id)
                    and (a.next_nodes is not null or (q.not_before is not null and not a.launch_failed and not exists (
                        select 1 from device_grants before where before.job_id = q.job_id and before.attempt = a.number - 1
                            and before.node_id = any(q.avoid_nodes))))
                group by a.next_nodes, a.next_devices) own on true
            where state = 'Queued' and {which}
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
                if (reader.GetBoolean(24))
                {
                    news.Later.Add((job, QueueReason.OtherJobs));
                }
                else if (reader.GetBoolean(13))
                {
                    news.Later.Add((job, QueueReason.Forecast));
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

    private async Task<List<ClusterChange.JobGranted>> ReadGrantsAsync(
        NpgsqlConnection connection, Guid[]? jobs, CancellationToken cancellationToken)
    {
        var which = jobs is null ? "true" : "job_id = any($1)";
        await using var command = new NpgsqlCommand(
            $"""
            select job_id, node_id, device, g.cpu_bytes, g.gpu_bytes, granted_at, queue, owner, priority, q.state, committed_at,
                expected_end, expected_end_late, a.created_at, a.started_at, coalesce(preempted_for, resized_for), release_by, ending_at,
                min_runtime, next_nodes, next_devices, min_devices, devices, device_class, max_devices_per_node, node_labels, data_set,
                q.cpu_bytes, q.gpu_bytes, excluded_nodes, r.jobs, log_mean, log_variance, max_runtime
            from device_grants g join job_queue q using (job_id) join attempts a using (job_id) left join runtimes r using (likeness)
            where released_at is null and a.number = g.attempt and {which} order by job_id, rank
            """, connection);
        if (jobs is not null)
            command.Parameters.Add(new NpgsqlParameter { Value = jobs });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var granted = new List<ClusterChange.JobGranted>();
        var devices = ImmutableArray.CreateBuilder<GrantedDevice>();
        GrantedJob? job = null;
        while (await reader.ReadAsync(cancellationToken))
        {
            if (job is not null && job.Id != reader.GetGuid(0))
                granted.Add(job.With(devices.DrainToImmutable()));
            if (job?.Id != reader.GetGuid(0))
                job = ReadGranted(reader);
            devices.Add(new GrantedDevice(new NodeKey(reader.GetGuid(1)), reader.GetString(2)));
        }

        if (job is not null)
            granted.Add(job.With(devices.DrainToImmutable()));
        return granted;
    }

    /// <summary>Of one whose row cannot be read it is known what it holds, and no more: it is not preempted.</summary>
    private GrantedJob ReadGranted(NpgsqlDataReader reader)
    {
        var id = reader.GetGuid(0);
        try
        {
            return ReadWithFacts(reader);
        }
        catch (Exception fault) when (fault is not (NpgsqlException or OperationCanceledException))
        {
            LogUnreadableFacts(fault, new JobId(id));
            return new GrantedJob(id, new RankMemory(reader.GetInt64(3), reader.GetInt64(4)), null, null, []);
        }
    }

    private GrantedJob ReadWithFacts(NpgsqlDataReader reader)
    {
        var (stops, next) = (reader.GetString(9) == nameof(JobState.Stopping), DevicesOf(reader, 19));
        var facts = new RunningFacts(
            new QueueKey(reader.GetString(6)), reader.GetString(7), reader.GetInt32(8), reader.GetFieldValue<DateTimeOffset>(5))
        {
            CommittedAt = Time(10),
            // As long as it took this time to come to where it trains.
            Restarting = Time(14) - Time(13) ?? TimeSpan.Zero,
            MinRuntime = reader.GetTimeSpan(18),
            // Who gives its devices back already, for whatever reason, is not told so again.
            Preemptible = !stops,
            End = EndOf(),
            Need = reader.GetInt32(21) == 0 || stops ? null : NeedOf(reader, first: 22, fewest: 21, excluded: 29),
        };
        return new GrantedJob(
            reader.GetGuid(0), new RankMemory(reader.GetInt64(3), reader.GetInt64(4)), facts,
            reader.IsDBNull(15) ? null : (new JobKey(reader.GetGuid(15)), Time(16)!.Value), next);

        // Who is told to end has so long for a last checkpoint. Who is told to grow goes on.
        Estimate? EndOf() => next.IsEmpty && Time(17) + options.Value.CancelGrace is { } by ? new Estimate(by, by)
            : Time(11) is { } likely && Time(12) is { } late ? new Estimate(likely, late)
            // Until its steps tell.
            : RuntimeOf(reader, 30) is { } runs ? new Estimate(Time(5)!.Value + runs.Likely, Time(5)!.Value + runs.Late) : null;

        DateTimeOffset? Time(int column) => reader.IsDBNull(column) ? null : reader.GetFieldValue<DateTimeOffset>(column);
    }

    /// <param name="first">The column of the number of devices, which all that is asked for follows but what these name.</param>
    private static DeviceNeed NeedOf(NpgsqlDataReader reader, int first, int fewest, int excluded) => new(
        reader.GetInt32(first), reader.IsDBNull(first + 1) ? null : Enum.Parse<DeviceClass>(reader.GetString(first + 1)),
        reader.GetInt32(first + 2), JsonColumn.Read<Dictionary<string, string>>(reader.GetString(first + 3)),
        reader.GetString(first + 4), new RankMemory(reader.GetInt64(first + 5), reader.GetInt64(first + 6)))
    {
        MinDevices = reader.GetInt32(fewest),
        Excluded = PlacementNames.NodesOf(reader.GetFieldValue<Guid[]>(excluded)),
    };

    /// <param name="nodes">The column of their nodes, which that of their names on these follows.</param>
    private static ImmutableArray<GrantedDevice> DevicesOf(NpgsqlDataReader reader, int nodes) => reader.IsDBNull(nodes) ? [] :
    [
        .. reader.GetFieldValue<Guid[]>(nodes).Zip(
            reader.GetFieldValue<string[]>(nodes + 1), (node, device) => new GrantedDevice(new NodeKey(node), device)),
    ];

    private static WaitingJob ReadJob(NpgsqlDataReader reader)
    {
        var need = NeedOf(reader, first: 6, fewest: 21, excluded: 22);
        return new WaitingJob(
            new JobKey(reader.GetGuid(0)), new QueueKey(reader.GetString(1)), need, reader.GetInt32(2),
            reader.GetFieldValue<DateTimeOffset>(3), reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4),
            reader.GetFieldValue<Guid[]>(5).Select(node => new NodeKey(node)).ToHashSet())
        {
            Owner = reader.GetString(14),
            YieldedTo = [.. reader.IsDBNull(15) ? [] : reader.GetFieldValue<Guid[]>(15).Select(job => new JobKey(job))],
            Own = DevicesOf(reader, 16),
            Runtime = RuntimeOf(reader, 18, limit: 23),
        };
    }

    /// <param name="like">The column of how many jobs were alike, which those of their mean and variance follow.</param>
    /// <param name="limit">That of its limit; unless given the one after these.</param>
    private static ExpectedRuntime? RuntimeOf(NpgsqlDataReader reader, int like, int? limit = null) => Runtimes.Expect(
        reader.IsDBNull(like) ? null : new LikeJobs(reader.GetInt32(like), reader.GetDouble(like + 1), reader.GetDouble(like + 2)),
        reader.GetTimeSpan(limit ?? like + 3));

    /// <summary>The default queue is there without a word of it, and one line is the faster for that.</summary>
    private static ClusterChange ChangeOf(QueueRow queue) => queue.SaysNothing
        ? new ClusterChange.QueueRemoved(QueueKey.Default) : new ClusterChange.QueueChanged(queue.ToSpec());

    private static async Task<(Guid[] Jobs, Guid[] Nodes, string[] Queues)> TakeChangesAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var (jobs, nodes, queues) = (new HashSet<Guid>(), new HashSet<Guid>(), new HashSet<string>());
        await using var command = new NpgsqlCommand("delete from placement_changes returning job_id, node_id, queue", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (!await reader.IsDBNullAsync(0, cancellationToken))
                jobs.Add(reader.GetGuid(0));
            else if (!await reader.IsDBNullAsync(1, cancellationToken))
                nodes.Add(reader.GetGuid(1));
            else
                queues.Add(reader.GetString(2));
        }

        return ([.. jobs], [.. nodes], [.. queues]);
    }

    /// <param name="For">Whom it releases devices for, and by when; null: it goes on.</param>
    /// <param name="Next">Those that it goes on with all the same.</param>
    private sealed record GrantedJob(
        Guid Id, RankMemory Memory, RunningFacts? Facts, (JobKey Job, DateTimeOffset By)? For, ImmutableArray<GrantedDevice> Next)
    {
        public ClusterChange.JobGranted With(ImmutableArray<GrantedDevice> devices) => new(new JobKey(Id), Memory, devices)
        {
            Facts = Facts is null || For is not { } other ? Facts
                : Facts with { Release = new Release([.. devices.Except(Next)], other.By, other.Job) },
        };
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} cannot be placed: its row cannot be read")]
    private partial void LogUnreadable(Exception fault, JobId jobId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} keeps its devices: more is not known, its row cannot be read")]
    private partial void LogUnreadableFacts(Exception fault, JobId jobId);
}

/// <summary>What has become of jobs, nodes and queues.</summary>
internal sealed class PlacementNews
{
    public List<ClusterChange> Changes { get; } = [];

    /// <summary>Jobs that placement is told of later, and what they wait for until then; so long they are none of its.</summary>
    public List<(WaitingJob Job, QueueReason Until)> Later { get; } = [];
}
