using Cluster.Contracts.V1;
using Microsoft.EntityFrameworkCore;

namespace Cluster.Scheduler.Persistence;

/// <summary>Nodes as people see them, each device with who holds it.</summary>
public sealed class NodeQueries(ClusterDatabase database)
{
    /// <summary>All registered nodes, by name.</summary>
    public Task<IReadOnlyList<Node>> ListAsync(CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<Node>>(async (context, token) =>
        {
            var nodes = await context.Nodes.OrderBy(n => n.Name).ThenBy(n => n.Id).ToListAsync(token);
            var held = (await context.DeviceGrants.Where(g => g.ReleasedAt == null).ToListAsync(token)).ToLookup(g => g.NodeId);
            return [.. nodes.Select(n => ToNode(n, held[n.Id].ToDictionary(g => g.Device)))];
        }, cancellationToken);

    private static Node ToNode(NodeRow row, Dictionary<string, DeviceGrantRow> held) => new()
    {
        Id = row.Id.ToString("D"),
        Name = row.Name,
        State = row.State,
        Labels = { row.Labels.ToDictionary() },
        DataSets = { row.DataSets },
        RegisteredAt = JobMapping.ToTimestamp(row.RegisteredAt),
        LeaseExpiresAt = JobMapping.ToTimestamp(row.LeaseExpiresAt),
        AgentVersion = row.AgentVersion,
        Devices = { row.Devices.Select(d => ToDevice(d, held.GetValueOrDefault(d.Id), row)) },
    };

    private static DeviceStatus ToDevice(Nodes.NodeDevice device, DeviceGrantRow? held, NodeRow node)
    {
        var status = new DeviceStatus
        {
            Device = new Device { Id = device.Id, Kind = device.Kind, Cores = device.Cores, MemoryBytes = device.MemoryBytes, Model = device.Model },
        };
        if (held is not null)
            (status.JobId, status.Attempt) = (held.JobId.ToString("D"), held.Attempt);
        if (node.Utilization.TryGetValue(device.Id, out var utilization))
            status.Utilization = utilization;
        return status;
    }
}
