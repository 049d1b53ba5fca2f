using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Queues;

/// <summary>Queues as people see them.</summary>
internal sealed class QueueQueries([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    /// <summary>So many jobs of a queue are counted that wait: a list of queues reads no more, however many there are.</summary>
    public const int Counted = 10_000;

    /// <summary>By name.</summary>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<QueueStatus>> ListAsync(
        int pageSize, string pageToken, UseTerms terms, Visibility seen, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => Page.FillAsync(pageSize, pageToken, (after, count) =>
            {
                var last = after.Length > 0 ? PageToken.ReadName(after).Name : "";
                return context.Queues.Where(q => string.Compare(q.Name, last) > 0).OrderBy(q => q.Name).Take(count).ToListAsync(token);
            }, rows => DescribeAsync(context, rows, terms, seen, token), last => PageToken.Write(last.Name, Guid.Empty)),
            cancellationToken);

    /// <returns>Null when there is no such queue.</returns>
    public Task<QueueStatus?> GetAsync(string name, UseTerms terms, Visibility seen, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            var rows = await context.Queues.Where(q => q.Name == name).ToListAsync(token);
            return (await DescribeAsync(context, rows, terms, seen, token)).SingleOrDefault();
        }, cancellationToken);

    public Task<bool> ExistsAsync(string name, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync((context, token) => context.Queues.AnyAsync(q => q.Name == name, token), cancellationToken);

    /// <param name="queue">Empty: of all.</param>
    /// <param name="seen">Of which jobs.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public Task<GetAccuracyResponse> AccuracyAsync(string queue, Visibility seen, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                $"""
                with told as (
                    select abs(extract(epoch from a.created_at - likely)) as error,
                        extract(epoch from a.created_at - predicted_at) as waited,
                        a.created_at <= likely as by_likely, a.created_at <= late as by_late
                    from start_predictions join attempts a using (job_id)
                    where a.number = 1 and ($1 = '' or queue = $1) {SeenBy(seen)})
                select count(*)::integer, coalesce(avg((error <= greatest(60, waited / 10))::integer), 0)::float8,
                    coalesce(avg((error <= 600)::integer), 0)::float8, coalesce(avg(by_likely::integer), 0)::float8,
                    coalesce(avg(by_late::integer), 0)::float8,
                    coalesce(percentile_cont(0.5) within group (order by error), 0)::float8
                from told
                """, connection);
            foreach (var parameter in Parameters(queue, seen))
                command.Parameters.Add(parameter);
            await using var reader = await command.ExecuteReaderAsync(token);
            await reader.ReadAsync(token);
            return new GetAccuracyResponse
            {
                Jobs = reader.GetInt32(0),
                Close = reader.GetDouble(1),
                WithinTenMinutes = reader.GetDouble(2),
                ByLikely = reader.GetDouble(3),
                ByLate = reader.GetDouble(4),
                MedianErrorSeconds = reader.GetDouble(5),
            };
        }, cancellationToken);

    private static async Task<List<QueueStatus>> DescribeAsync(
        ClusterDbContext context, List<QueueRow> rows, UseTerms terms, Visibility seen, CancellationToken cancellationToken)
    {
        var queues = rows.ToDictionary(row => row.Name, row => new QueueStatus { Queue = row.ToQueue(), Past = { PastOf(row, terms) } });
        await context.Database.OpenConnectionAsync(cancellationToken);
        var names = queues.Keys.ToArray();
        var counts = new NpgsqlBatchCommand(
            $"""
            select name,
                (select count(*) from (
                    select from job_queue where queue = name and state = 'Queued' {SeenBy(seen)} limit {Counted + 1}) waiting)::integer,
                (select count(*) from job_queue
                    where queue = name and state in ('Starting', 'Running', 'Stopping') {SeenBy(seen)})::integer
            from unnest($1::text[]) name
            """);
        foreach (var parameter in Parameters(names, seen))
            counts.Parameters.Add(parameter);
        await using var batch = new NpgsqlBatch((NpgsqlConnection)context.Database.GetDbConnection())
        {
            BatchCommands =
            {
                counts,
                // Of all jobs: a queue's quota is used by those, too, that somebody does not see.
                new("""
                    select queue, device like 'cuda:%', count(*)::integer from device_grants join job_queue using (job_id)
                    where released_at is null and queue = any($1) group by 1, 2 order by 1, 2
                    """) { Parameters = { new() { Value = names } } },
            },
        };
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var queue = queues[reader.GetString(0)];
            var waiting = reader.GetInt32(1);
            (queue.WaitingJobs, queue.MoreWaiting) = (Math.Min(waiting, Counted), waiting > Counted);
            queue.RunningJobs = reader.GetInt32(2);
        }

        await reader.NextResultAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            queues[reader.GetString(0)].Used.Add(new UsedDevices
            {
                Kind = reader.GetBoolean(1) ? DeviceKind.Cuda : DeviceKind.Cpu,
                Devices = reader.GetInt32(2),
            });
        }

        return rows.ConvertAll(row => queues[row.Name]);
    }

    /// <summary>Narrows rows that have a job's id to those of jobs that are seen, by the parameters from $2 on.</summary>
    private static string SeenBy(Visibility seen) =>
        seen.IsAll ? "" : $"and job_id in (select j.id from jobs j where {Visibility.Sql("j", first: 2)})";

    /// <summary>The first parameter, and those that <see cref="SeenBy"/> has.</summary>
    private static IEnumerable<NpgsqlParameter> Parameters(object first, Visibility seen) =>
        ((object[])[first, .. seen.IsAll ? [] : seen.Parameters]).Select(value => new NpgsqlParameter { Value = value });

    private static IEnumerable<PastDevices> PastOf(QueueRow row, UseTerms terms)
    {
        if (row.ToUse() is not { } used)
            return [];
        var past = used.Use.At(terms.Now, terms.HalfLife);
        return new[] { (DeviceKind.Cpu, past.Cpu), (DeviceKind.Cuda, past.Cuda) }.Where(kind => kind.Item2 > 0)
            .Select(kind => new PastDevices { Kind = kind.Item1, Devices = kind.Item2 });
    }
}

/// <summary>As of when past use is told, and after what time it counts half.</summary>
internal readonly record struct UseTerms(DateTimeOffset Now, TimeSpan HalfLife);
