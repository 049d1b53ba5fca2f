using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>Takes in heartbeats, at whichever scheduler they arrive.</summary>
internal sealed class NodeHeartbeats(NodeStore store, IGrainFactory grains, IOptions<NodeOptions> options)
{
    /// <summary>Renews the lease in its row, then lets the node's grain hear the rest.</summary>
    /// <remarks>
    /// In this order: the grain may live in a scheduler that is paused or has just died, which must cost the node nothing.
    /// </remarks>
    public async Task<HeartbeatResult> HeartbeatAsync(NodeId node, NodeHeartbeat heartbeat)
    {
        var lease = options.Value.LeaseDuration;
        if (await store.RenewAsync(node, heartbeat.Incarnation, lease, heartbeat.Utilization, CancellationToken.None))
            return await grains.GetGrain<INodeGrain>(node.Value).HeartbeatAsync(heartbeat);
        var row = await store.LoadAsync(node, CancellationToken.None);
        var superseded = row is not null && row.Incarnation != heartbeat.Incarnation;
        return HeartbeatResult.Declined(superseded ? HeartbeatStatus.Superseded : HeartbeatStatus.Unknown);
    }
}
