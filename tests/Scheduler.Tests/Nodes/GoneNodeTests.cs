using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>Machines that are gone for good, and machines that come back as another node.</summary>
public sealed class GoneNodeTests(PostgresServer postgres)
{
    private static readonly NodeOptions Options = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>An empty disk makes a new node id; its job goes on there, on the one node that is listed.</summary>
    [Fact]
    public async Task Node_BackUnderItsOldName_IsListedOnce_AndTheOldOneHoldsNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a");
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        var reborn = await AddLaterAsync(cluster, "node-a");
        await PassAsync(cluster, Options.LeaseDuration, reborn);
        await PassAsync(cluster, TimeSpan.FromSeconds(5), reborn);

        var listed = (await ListAsync(cluster)).ShouldHaveSingleItem();
        (listed.Id, listed.State).ShouldBe((reborn.Id.ToString(), NodeState.Ready));
        (await cluster.GetAsync(job)).Placement.Single().NodeId.ShouldBe(reborn.Id.ToString());
    }

    /// <summary>
    /// A lost node that cannot be forgotten yet, since its gang's other rank still runs, is forgotten when that has ended.
    /// </summary>
    [Fact]
    public async Task Node_BackUnderItsOldName_WhileItsJobStillEndsElsewhere_IsListedOnceThen()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a");
        var other = await cluster.AddNodeAsync("node-b");
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);
        var reborn = await AddLaterAsync(cluster, "node-a");
        await PassAsync(cluster, Options.LeaseDuration, reborn, other);
        (await ListAsync(cluster)).Count(node => node.Name == "node-a").ShouldBe(2);

        var rank = (await cluster.GetAsync(job)).Placement.Single(place => place.NodeName == "node-b").Rank;
        await other.ExitAsync(job, 1, rank, TrainerExit.Stopped);
        await cluster.ReconcileAsync();

        (await ListAsync(cluster)).Select(node => node.Id).ShouldBe([reborn.Id.ToString(), other.Id.ToString()], ignoreOrder: true);
    }

    [Fact]
    public async Task TwoMachinesOfOneName_BothStay_AndTheOneThatReturnsRegistersAnew()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (one, two) = (await cluster.AddNodeAsync("node-a"), await AddLaterAsync(cluster, "node-a"));
        await PassAsync(cluster, Options.LeaseDuration, one, two);
        (await ListAsync(cluster)).Count.ShouldBe(2);

        await PassAsync(cluster, Options.LeaseDuration, two);
        (await ListAsync(cluster)).ShouldHaveSingleItem().Id.ShouldBe(two.Id.ToString());
        (await one.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Unknown);
        await one.RegisterAsync();

        (await ListAsync(cluster)).Select(node => node.State).ShouldBe([NodeState.Ready, NodeState.Ready]);
    }

    [Fact]
    public async Task Node_ThatReturnsAfterItWasForgotten_EndsItsOldTrainersFirst()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().WithRestarts(0));
        await cluster.RunAsync(job);
        var zombie = new AttemptKey(job, 1);
        node.Running.Add(zombie);
        await PassAsync(cluster, Options.LeaseDuration);
        await PassAsync(cluster, Options.ForgetAfter + TimeSpan.FromSeconds(1));
        (await ListAsync(cluster)).ShouldBeEmpty();

        (await node.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Unknown);
        (await node.RegisterAsync()).Stale.ShouldBe([zombie]);

        (await ListAsync(cluster)).Single().State.ShouldBe(NodeState.Ready);
    }

    [Fact]
    public async Task NodeGoneForGood_CountsForCapacityUntilItIsForgotten_AndKeepsNothingFromOthers()
    {
        await using var cluster = await TestCluster.StartAsync(
            postgres, services => services.Configure<NodeOptions>(nodes => nodes.ForgetAfter = TimeSpan.FromMinutes(1)));
        var stays = await cluster.AddNodeAsync("node-a");
        await cluster.AddNodeAsync("node-b");
        await PassAsync(cluster, Options.LeaseDuration, stays);
        var gang = await cluster.SubmitAsync(AJob().WithDevices(2));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var single = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(single)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(gang)).Reason.ShouldContain("on a lost node (node-b); others may start before it");

        await PassAsync(cluster, TimeSpan.FromMinutes(1), stays);
        (await cluster.GetAsync(gang)).Reason.ShouldStartWith("resources.devices is 2 but the registered cluster has 1 cpu device;");
        await Should.ThrowAsync<InfeasibleJobException>(() => cluster.SubmitAsync(AJob().WithDevices(2)));
    }

    [Fact]
    public async Task RemoveNode_ForgetsALostNodeAtOnce_AndRefusesOneThatIsThere()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var (gone, there) = (await scheduler.AddNodeAsync("gone"), await scheduler.AddNodeAsync("there"));
        (await Should.ThrowAsync<RpcException>(() => RemoveAsync(scheduler, "there"))).Status.ShouldBe(new Status(
            StatusCode.FailedPrecondition, "node there is not lost; stop its agent, and remove it when its lease has run out"));
        await scheduler.ExecuteAsync($"update nodes set state = 'Lost', lost_at = now() where id = '{gone.NodeId}'");

        (await RemoveAsync(scheduler, "gone")).Id.ShouldBe(gone.NodeId);

        var listed = await scheduler.Nodes().ListNodesAsync(new ListNodesRequest(), cancellationToken: Cancelled);
        listed.Nodes.ShouldHaveSingleItem().Id.ShouldBe(there.NodeId);
        (await Should.ThrowAsync<RpcException>(() => RemoveAsync(scheduler, "gone"))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task RemoveNode_WhileAJobThatHadDevicesThereStillEnds_SaysSo()
    {
        // A pass would end the job's attempt, as soon as it found that its node is lost.
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Reconciliation:Interval", "00:05:00"));
        var trainer = await scheduler.RunAsync("gone");
        await scheduler.ExecuteAsync("update nodes set state = 'Lost', lost_at = now()");

        var refusal = await Should.ThrowAsync<RpcException>(() => RemoveAsync(scheduler, "gone"));

        refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        refusal.Status.Detail.ShouldStartWith($"node gone is lost, but job {trainer.Job}, which had a device there, has not ended");
    }

    private static async Task<Node> RemoveAsync(TestScheduler scheduler, string name)
    {
        var request = new RemoveNodeRequest { NodeId = name };
        return (await scheduler.Nodes(TestScheduler.OperatorToken).RemoveNodeAsync(request, cancellationToken: Cancelled)).Node;
    }

    private static Task<TestNode> AddLaterAsync(TestCluster cluster, string name)
    {
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        return cluster.AddNodeAsync(name);
    }

    /// <summary>Time passes, in which only these nodes are heard of.</summary>
    private static async Task PassAsync(TestCluster cluster, TimeSpan time, params TestNode[] alive)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromSeconds(5))
        {
            cluster.Time.Advance(TimeSpan.FromSeconds(5));
            foreach (var node in alive)
                (await node.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Renewed);
        }

        await cluster.ReconcileAsync();
    }

    private static Task<IReadOnlyList<Node>> ListAsync(TestCluster cluster) => cluster.Get<NodeQueries>().ListAsync(Cancelled);
}
