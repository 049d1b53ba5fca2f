using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;

namespace Cluster.Scheduler.Nodes;

/// <summary>Nodes as people see them, each device with who holds it.</summary>
public sealed class NodeQueries([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    /// <summary>By name.</summary>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<Node>> ListAsync(int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => Page.FillAsync(pageSize, pageToken, (after, count) =>
            {
                var nodes = context.Nodes.AsQueryable();
                if (after.Length > 0)
                {
                    var (name, id) = PageToken.ReadName(after);
                    nodes = nodes.Where(n => EF.Functions.GreaterThan(ValueTuple.Create(n.Name, n.Id), ValueTuple.Create(name, id)));
                }

                return nodes.OrderBy(n => n.Name).ThenBy(n => n.Id).Take(count).ToListAsync(token);
            }, rows => DescribeAsync(context, rows, token), last => PageToken.Write(last.Name, last.Id)), cancellationToken);

    /// <summary>The nodes that a name or the beginning of an id may mean.</summary>
    /// <param name="prefix">Null: the text is no beginning of an id.</param>
    public Task<IReadOnlyList<Node>> FindAsync(string name, IdPrefix? prefix, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<Node>>(async (context, token) =>
        {
            var named = context.Nodes.Where(n => n.Name == name);
            if (prefix is { } beginning)
            {
                var (low, high) = IdRange.Of(beginning);
                named = context.Nodes.Where(n => n.Name == name || (n.Id >= low && n.Id <= high));
            }

            return await DescribeAsync(context, await named.ToListAsync(token), token);
        }, cancellationToken);

    private static async Task<List<Node>> DescribeAsync(ClusterDbContext context, List<NodeRow> nodes, CancellationToken cancellationToken)
    {
        var ids = nodes.ConvertAll(n => n.Id);
        var grants = await context.DeviceGrants.Where(g => g.ReleasedAt == null && ids.Contains(g.NodeId)).ToListAsync(cancellationToken);
        var leases = await context.NodeLeases.Where(l => ids.Contains(l.NodeId))
            .ToDictionaryAsync(l => l.NodeId, l => l.ExpiresAt, cancellationToken);
        var measured = await context.NodeMeasurements.Where(m => ids.Contains(m.NodeId))
            .ToDictionaryAsync(m => m.NodeId, m => m.Devices, cancellationToken);
        var held = grants.ToLookup(g => g.NodeId);
        return nodes.ConvertAll(row =>
        {
            var node = ToNode(row, held[row.Id].ToDictionary(g => g.Device), measured.GetValueOrDefault(row.Id)?.Devices ?? []);
            if (leases.TryGetValue(row.Id, out var end))
                node.LeaseExpiresAt = end.ToTimestamp();
            return node;
        });
    }

    private static Node ToNode(NodeRow row, Dictionary<string, DeviceGrantRow> held, IEnumerable<DeviceMeasurement> measured)
    {
        // An agent may name a device twice: what it said last counts.
        var byDevice = measured.GroupBy(m => m.Device).ToDictionary(same => same.Key, same => same.Last());
        return new Node
        {
            Id = row.Id.ToString("D"),
            Name = row.Name,
            State = row.State,
            Labels = { row.Labels.ToDictionary() },
            DataSets = { row.DataSets },
            RegisteredAt = row.RegisteredAt.ToTimestamp(),
            AgentVersion = row.AgentVersion,
            Drain = row.Drain,
            Devices = { row.Devices.Select(d => ToDevice(d, held.GetValueOrDefault(d.Id), byDevice.GetValueOrDefault(d.Id))) },
        };
    }

    private static DeviceStatus ToDevice(Nodes.NodeDevice device, DeviceGrantRow? held, DeviceMeasurement? measured)
    {
        var status = new DeviceStatus
        {
            Device = new Device
            {
                Id = device.Id,
                Kind = device.Kind,
                Cores = device.Cores,
                MemoryBytes = device.MemoryBytes,
                Model = device.Model,
            },
            Gpu = measured?.Gpu,
        };
        if (held is not null)
            (status.JobId, status.Attempt) = (held.JobId.ToString("D"), held.Attempt);
        if (measured?.HasUtilization == true)
            status.Utilization = measured.Utilization;
        return status;
    }
}
