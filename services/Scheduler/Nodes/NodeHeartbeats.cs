using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Google.Protobuf.Collections;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>Takes in heartbeats, at whichever scheduler they arrive.</summary>
internal sealed class NodeHeartbeats(
    LeaseRenewals renewals, NodeReports reports, NodeMeasurements measurements, NodeStore store, ReconcileSignal signal,
    IOptions<NodeOptions> options)
{
    /// <summary>Renews the lease, and has the rest heard after that.</summary>
    /// <returns>With what there was to say of the heartbeat before.</returns>
    public async Task<HeartbeatResult> HeartbeatAsync(
        NodeId node, NodeHeartbeat heartbeat, RepeatedField<DeviceMeasurement> measured)
    {
        if (await renewals.RenewAsync(new LeaseHolder(node, heartbeat.Incarnation)) is not { } lease)
            return HeartbeatResult.Declined(await WhyDeclinedAsync(node, heartbeat.Incarnation));
        // Nothing may be placed on a node whose agent ends, once it has been answered: its trainers' exits free devices from then on.
        if (heartbeat.ShuttingDown)
            await store.SetCleanAsync(node, heartbeat.Incarnation, clean: false, CancellationToken.None);
        measurements.Note(node, measured);
        var answer = reports.TakeAnswer(node, heartbeat.Incarnation)
            ?? new HeartbeatResult(HeartbeatStatus.Renewed, options.Value.LeaseDuration, []);
        // A grain that does not know the agent has nothing to do with what it says until that has registered again.
        if (answer.Status == HeartbeatStatus.Renewed)
            reports.Post(node, heartbeat with { KnownClean = lease.Clean });
        return answer;
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
