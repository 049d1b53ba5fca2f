using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>Takes in heartbeats, at whichever scheduler they arrive.</summary>
internal sealed class NodeHeartbeats(NodeStore store, IGrainFactory grains, ReconcileSignal signal, IOptions<NodeOptions> options)
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
        return HeartbeatResult.Declined(await WhyDeclinedAsync(node, heartbeat.Incarnation));
    }

    /// <summary>Takes note of the data sets that a node has now, and of those that it has no more. Renews nothing.</summary>
    public async Task<HeartbeatStatus> UpdateDataSetsAsync(NodeId node, NodeDataSets data)
    {
        if (!await store.UpdateDataSetsAsync(node, data, CancellationToken.None))
            return await WhyDeclinedAsync(node, data.Incarnation);
        // Jobs that wait for what has come start; those that wait for what has gone say so.
        signal.Place();
        return HeartbeatStatus.Renewed;
    }

    private async Task<HeartbeatStatus> WhyDeclinedAsync(NodeId node, string incarnation)
    {
        var row = await store.LoadAsync(node, CancellationToken.None);
        return row is not null && row.Incarnation != incarnation ? HeartbeatStatus.Superseded : HeartbeatStatus.Unknown;
    }
}
