using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Nodes;

/// <summary>Counts nodes and devices by state.</summary>
internal sealed class NodeCensus([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    public Task<NodeCounts> TakeAsync(CancellationToken cancellationToken) => database.RunAsync(async (connection, token) =>
    {
        await using var command = new NpgsqlCommand(
            """
            select case when state = 'Lost' then 'lost' when drain is not null then 'drained' when clean then 'ready' else 'unready' end,
                count(*)::integer, coalesce(sum(jsonb_array_length(devices)), 0)::integer, coalesce(sum(granted), 0)::integer
            from nodes left join (
                select node_id, count(*) granted from device_grants where released_at is null group by node_id) g on g.node_id = id
            group by 1
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(token);
        var counts = new NodeCounts();
        while (await reader.ReadAsync(token))
            counts.Add(reader.GetString(0), reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3));
        return counts;
    }, cancellationToken);
}

/// <summary>How many nodes, and how many devices, are in which state.</summary>
internal sealed class NodeCounts
{
    public static readonly IReadOnlyList<string> NodeStates = ["ready", "unready", "drained", "lost"];

    // A lost node's devices are lost whoever held them; on others those that are held are granted, and the rest is as the node is.
    public static readonly IReadOnlyList<string> DeviceStates = ["free", "granted", "unready", "drained", "lost"];

    public Dictionary<string, int> Nodes { get; } = NodeStates.ToDictionary(state => state, _ => 0);

    public Dictionary<string, int> Devices { get; } = DeviceStates.ToDictionary(state => state, _ => 0);

    /// <param name="state">Of the nodes.</param>
    /// <param name="granted">Of the devices.</param>
    public void Add(string state, int nodes, int devices, int granted)
    {
        Nodes[state] += nodes;
        if (state == "lost")
        {
            Devices["lost"] += devices;
            return;
        }

        Devices["granted"] += granted;
        Devices[state == "ready" ? "free" : state] += devices - granted;
    }
}
