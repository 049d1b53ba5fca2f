using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.WellKnownTypes;
using Npgsql;
using Enum = System.Enum;

namespace Cluster.Scheduler.Reports;

/// <summary>What devices were used for over a time, and how long they stood idle.</summary>
internal sealed class DeviceHoursReport([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    private const int MostRows = 1_000;

    // Of a grant: the seconds of it that lie in the range.
    private const string Seconds = "extract(epoch from least(coalesce(g.released_at, $2), $2) - greatest(g.granted_at, $1))::float8";

    // An attempt's loss is told when it ends, and is no more than what it held in the range.
    private static readonly string Jobs =
        $"""
        with held as (
            select g.job_id, g.attempt, g.device like 'cuda:%' as cuda, sum({Seconds}) as seconds
            from device_grants g where g.granted_at < $2 and coalesce(g.released_at, $2) > $1 group by 1, 2, 3)
        select j.owner, j.queue, j.state, h.cuda, count(distinct j.id)::integer, sum(h.seconds),
            coalesce(sum(least(a.lost_device_seconds, h.seconds))
                filter (where a.lost_device_seconds > 0 and a.ended_at > $1 and a.ended_at <= $2), 0)
        from held h join attempts a on a.job_id = h.job_id and a.number = h.attempt join jobs j on j.id = h.job_id
        where {Visibility.Sql("j", first: 4)}
        group by 1, 2, 3, 4 order by 6 desc, 1, 2, 3, 4 limit $3
        """;

    private const string Nodes =
        $"""
        select n.devices::text,
            greatest(extract(epoch from
                least(coalesce(n.lost_at, $2), $2) - greatest(least(n.registered_at, min(g.granted_at)), $1)), 0)::float8,
            coalesce(sum({Seconds}) filter (where {InRange} and g.device not like 'cuda:%'), 0),
            coalesce(sum({Seconds}) filter (where {InRange} and g.device like 'cuda:%'), 0)
        from nodes n left join device_grants g on g.node_id = n.id and g.granted_at < $2
        where n.registered_at < $2 or g.node_id is not null
        group by n.id
        """;

    private const string InRange = "coalesce(g.released_at, $2) > $1";

    /// <param name="begin">Before <paramref name="end"/>.</param>
    /// <param name="end">Not later than now.</param>
    /// <param name="seen">Of whose jobs there are rows.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public Task<GetDeviceHoursResponse> ReadAsync(
        DateTimeOffset begin, DateTimeOffset end, Visibility seen, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            var report = new GetDeviceHoursResponse { Begin = begin.ToTimestamp(), End = end.ToTimestamp() };
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands = { Command(Jobs, [begin, end, MostRows + 1, .. seen.Parameters]), Command(Nodes, [begin, end]) },
            };
            await using var reader = await batch.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token))
                report.Rows.Add(ReadRow(reader));
            await reader.NextResultAsync(token);
            var capacity = new Dictionary<DeviceKind, DeviceCapacity>();
            while (await reader.ReadAsync(token))
                Add(capacity, reader);
            report.Capacity.Add(capacity.Values.OrderBy(kind => kind.Kind));
            if (report.Rows.Count > MostRows)
            {
                report.Cut = true;
                report.Rows.RemoveAt(MostRows);
            }

            return report;
        }, cancellationToken);

    private static NpgsqlBatchCommand Command(string sql, object[] values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
            command.Parameters.Add(new() { Value = value });
        return command;
    }

    private static DeviceHours ReadRow(NpgsqlDataReader reader) => new()
    {
        Owner = reader.GetString(0),
        Queue = reader.GetString(1),
        State = Enum.Parse<JobState>(reader.GetString(2)),
        Kind = reader.GetBoolean(3) ? DeviceKind.Cuda : DeviceKind.Cpu,
        Jobs = reader.GetInt32(4),
        UsedHours = Hours(reader.GetDouble(5)),
        LostHours = Hours(reader.GetDouble(6)),
    };

    private static void Add(Dictionary<DeviceKind, DeviceCapacity> capacity, NpgsqlDataReader reader)
    {
        var seconds = reader.GetDouble(1);
        foreach (var kind in JsonColumn.Read<IReadOnlyList<NodeDevice>>(reader.GetString(0)).CountBy(device => device.Kind))
        {
            if (!capacity.TryGetValue(kind.Key, out var sum))
                capacity.Add(kind.Key, sum = new DeviceCapacity { Kind = kind.Key });
            var used = reader.GetDouble(kind.Key == DeviceKind.Cuda ? 3 : 2);
            sum.Hours += Hours(seconds * kind.Value);
            // A node that has fewer devices than it had may have been used more than is known of it now.
            sum.IdleHours += Math.Max(0, Hours((seconds * kind.Value) - used));
        }
    }

    private static double Hours(double seconds) => seconds / 3600;
}
