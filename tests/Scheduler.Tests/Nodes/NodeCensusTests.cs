using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;

namespace Cluster.Scheduler.Tests.Nodes;

public sealed class NodeCensusTests(PostgresServer postgres)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Census_CountsNodesAndDevicesByState()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("lost", devices: 4);
        cluster.Time.Advance(new NodeOptions().LeaseDuration);
        await cluster.ReconcileAsync();
        await cluster.AddNodeAsync("ready", devices: 3);
        await cluster.RunAsync(await cluster.SubmitAsync());
        var drained = await cluster.AddNodeAsync("drained", devices: 2);
        await cluster.Get<NodeStore>().SetDrainAsync(drained.Id, new Drain { By = "olga" }, Cancelled);
        var ending = await cluster.AddNodeAsync("ending");
        ending.ShuttingDown = true;
        await ending.HeartbeatAsync();

        var counts = await cluster.Get<NodeCensus>().TakeAsync(Cancelled);

        counts.Nodes.Select(count => (count.Key, count.Value)).ShouldBe([("ready", 1), ("unready", 1), ("drained", 1), ("lost", 1)]);
        counts.Devices.Select(count => (count.Key, count.Value))
            .ShouldBe([("free", 2), ("granted", 1), ("unready", 1), ("drained", 2), ("lost", 4)]);
    }
}
