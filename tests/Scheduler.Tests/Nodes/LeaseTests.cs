using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Nodes;

public sealed class LeaseTests(PostgresServer postgres)
{
    private static readonly TimeSpan Lease = new NodeOptions().LeaseDuration;

    [Fact]
    public async Task Lease_RenewedInTime_KeepsTheNode()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();

        for (var i = 0; i < 5; i++)
        {
            cluster.Time.Advance(Lease - TimeSpan.FromSeconds(1));
            (await node.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Renewed);
            await cluster.ReconcileAsync();
        }

        (await StateAsync(cluster)).ShouldBe(NodeState.Ready);
    }

    /// <summary>
    /// By a grain of its own, since it does not know yet that the others take it for dead; the one that lives now has written nothing.
    /// </summary>
    [Fact]
    public async Task NodeThatAnotherSchedulerCalledUnclean_IsPlacedOnAgain_WithTheNextHeartbeat()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        await node.HeartbeatAsync();
        await cluster.Get<NodeStore>().SetCleanAsync(node.Id, node.Incarnation, clean: false, TestContext.Current.CancellationToken);
        var job = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);

        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task LostLease_FailsTheAttempt_AndTheJobGoesOnElsewhere()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        cluster.Time.Advance(Lease);
        await b.HeartbeatAsync();
        await cluster.ReconcileAsync();

        var queued = await cluster.GetAsync(job);
        queued.State.ShouldBe(JobState.Queued);
        queued.Restarts.ShouldBe(1);
        (await cluster.Get<JobQueries>().EventsAsync(job, 3, TestContext.Current.CancellationToken)).Single().Reason
            .ShouldBe("rank 0 on node-a (cpu:0) was lost with its node; restart 1 of 3");
        cluster.Time.Advance(TimeSpan.FromSeconds(5));
        await b.HeartbeatAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).Placement.Single().NodeName.ShouldBe("node-b");
        a.Address.ShouldNotBe(cluster.Agents.Launches[^1].Agent);
    }

    /// <summary>Ranks on the other node must be confirmed gone before any device of the gang is released.</summary>
    [Fact]
    public async Task LostLease_OfOneNode_StopsTheRanksOnTheOther()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        cluster.Time.Advance(Lease);
        await a.HeartbeatAsync();
        await cluster.ReconcileAsync();

        cluster.Agents.Stops.ShouldHaveSingleItem().Agent.ShouldBe(a.Address);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);
        b.Running.ShouldBeEmpty();
    }

    [Fact]
    public async Task NodeThatReturns_EndsItsStaleTrainers_BeforeAnythingIsPlacedThere()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts.InitialBackoff = new Duration()));
        await cluster.RunAsync(job);
        var zombie = new AttemptKey(job, 1);
        node.Running.Add(zombie);
        cluster.Time.Advance(Lease);
        await cluster.ReconcileAsync();
        (await StateAsync(cluster)).ShouldBe(NodeState.Lost);

        (await node.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Unknown);
        (await node.RegisterAsync()).Stale.ShouldBe([zombie]);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued, "its old trainer may still hold the device");
        (await node.HeartbeatAsync()).Stale.ShouldBe([zombie]);
        node.Running.Clear();
        (await node.HeartbeatAsync()).Stale.ShouldBeEmpty();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(job)).Attempt.ShouldBe(2);
    }

    [Fact]
    public async Task AgentRestart_LosesItsTrainers_ButNotTheNode()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        await node.RestartAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);
        (await StateAsync(cluster)).ShouldBe(NodeState.Ready);
    }

    [Fact]
    public async Task Reconnect_OfTheSameIncarnation_ChangesNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        node.Running.Add(new AttemptKey(job, 1));

        (await node.RegisterAsync()).Stale.ShouldBeEmpty();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
    }

    [Fact]
    public async Task Heartbeat_OfAnOlderIncarnation_IsSuperseded_OfAnUnknownNode_Unknown()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var older = node.Incarnation;
        await node.RestartAsync();
        node.Incarnation = older;

        (await node.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Superseded);
        (await new TestNode(cluster, "stranger", 1).HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Unknown);
    }

    [Fact]
    public async Task NodeLostForLong_IsForgotten()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        cluster.Time.Advance(Lease);
        await cluster.ReconcileAsync();
        (await StateAsync(cluster)).ShouldBe(NodeState.Lost);

        cluster.Time.Advance(new NodeOptions().ForgetAfter + TimeSpan.FromSeconds(1));
        await cluster.ReconcileAsync();

        (await cluster.Get<NodeQueries>().ListAsync(TestContext.Current.CancellationToken)).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("10.0.0.7:7071")]
    [InlineData("http://0.0.0.0:7071")]
    [InlineData("http://[::]:7071")]
    public async Task Registration_WithAnAddressThatCannotBeCalled_IsRefused(string address)
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var registration = new NodeRegistration("n", address, "s", "i", "v", [], ImmutableDictionary<string, string>.Empty, [], []);

        var refusal = await Should.ThrowAsync<InvalidRegistrationException>(
            () => cluster.Grains.GetGrain<INodeGrain>(Guid.NewGuid()).RegisterAsync(registration));

        refusal.Message.ShouldContain($"agent_address is '{address}'");
    }

    private static async Task<NodeState> StateAsync(TestCluster cluster) =>
        (await cluster.Get<NodeQueries>().ListAsync(TestContext.Current.CancellationToken)).Single().State;
}
