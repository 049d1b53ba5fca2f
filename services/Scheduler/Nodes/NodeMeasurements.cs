using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.Collections;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Nodes;

/// <summary>What agents measured last of their devices: kept until the next look, then stored for all nodes at once, for people.</summary>
internal sealed class NodeMeasurements([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    private readonly Lock _gate = new();
    private Dictionary<NodeId, RepeatedField<DeviceMeasurement>> _news = [];

    public void Note(NodeId node, RepeatedField<DeviceMeasurement> measured)
    {
        lock (_gate)
            _news[node] = measured;
    }

    /// <summary>Stores what has been noted since; the next heartbeats bring what a failure loses.</summary>
    public Task SaveAsync(CancellationToken cancellationToken)
    {
        Dictionary<NodeId, RepeatedField<DeviceMeasurement>> news;
        lock (_gate)
            (news, _news) = (_news, []);
        if (news.Count == 0)
            return Task.CompletedTask;
        return database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                insert into node_measurements
                select r.node_id, r.devices from unnest($1::uuid[], $2::jsonb[]) r (node_id, devices) join nodes n on n.id = r.node_id
                order by r.node_id
                on conflict (node_id) do update set devices = excluded.devices
                """, connection)
            {
                Parameters =
                {
                    new() { Value = news.Keys.Select(node => node.Value).ToArray() },
                    new()
                    {
                        Value = news.Values.Select(measured => JsonColumn.Write(new NodeMeasured { Devices = { measured } })).ToArray(),
                        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Jsonb,
                    },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
    }
}
