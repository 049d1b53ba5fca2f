using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>A person keeps a node from new jobs.</summary>
public sealed class DrainTests(PostgresServer postgres)
{
    private const int Killed = 9;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Drain_EvictsWhatRunsThere_WhichGoesOnElsewhereWithoutARestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var a = await cluster.AddNodeAsync("node-a");
        var job = await cluster.SubmitAsync(AJob().WithRestarts(0));
        await cluster.RunAsync(job);
        await cluster.AddNodeAsync("node-b");

        await DrainAsync(cluster, a, new Drain { By = "olga", Reason = "new fans", Grace = new Duration { Seconds = 120 } });
        await cluster.ReconcileAsync();
        var stopping = await cluster.GetAsync(job);
        var stop = cluster.Agents.Stops.ShouldHaveSingleItem();
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        await cluster.ReconcileAsync();

        (stopping.State, stopping.Reason).ShouldBe((JobState.Stopping, "node node-a is drained by olga: new fans"));
        (stop.Agent, stop.Request.Reason).ShouldBe((a.Address, stopping.Reason));
        stop.Request.Grace.ToTimeSpan().ShouldBe(TimeSpan.FromMinutes(2));
        var again = await cluster.GetAsync(job);
        (again.State, again.Attempt, again.Restarts).ShouldBe((JobState.Starting, 2, 0));
        again.Placement.Single().NodeName.ShouldBe("node-b");
    }

    /// <summary>And its grace is the cancellation's where the drain gives none.</summary>
    [Fact]
    public async Task Drain_WhoseGraceEndsBeforeTheCheckpoint_CostsNoRestartEither_AndAvoidsNoNode()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().WithRestarts(0));
        await cluster.RunAsync(job);

        await DrainAsync(cluster, node, new Drain { By = "olga" });
        await cluster.ReconcileAsync();
        await node.ExitAsync(job, 1, 0, 0, Killed);
        var queued = await cluster.GetAsync(job);
        await DrainAsync(cluster, node, null);
        await cluster.ReconcileAsync();

        cluster.Agents.Stops.Single().Request.Grace.ToTimeSpan().ShouldBe(new JobOptions().CancelGrace);
        (queued.State, queued.Restarts, queued.Reason).ShouldBe((JobState.Queued, 0, "node node-a is drained by olga"));
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Drain_ThatKeepsWhatRuns_LetsItEnd_AndPlacesNothingNew()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var running = await cluster.SubmitAsync();
        await cluster.RunAsync(running);

        await DrainAsync(cluster, node, new Drain { By = "olga", KeepRunning = true });
        var waiting = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(running)).State.ShouldBe(JobState.Running);
        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();

        cluster.Agents.Stops.ShouldBeEmpty();
        (await cluster.GetAsync(running)).State.ShouldBe(JobState.Succeeded);
        var job = await cluster.GetAsync(waiting);
        (job.State, job.Reason).ShouldBe((
            JobState.Queued,
            "needs 1 cpu device; none of the 2 that it could use is free, 2 are on a drained node (node-a); others may start before it"));
    }

    [Fact]
    public async Task Drain_OutlivesRestartsOfAgentAndScheduler()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        await DrainAsync(first, node, new Drain { By = "olga", Reason = "new fans" });
        await node.RestartAsync();
        await node.HeartbeatAsync();
        var job = await first.SubmitAsync();
        await first.ReconcileAsync();
        (await first.GetAsync(job)).State.ShouldBe(JobState.Queued);
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var reborn = node.ConnectedTo(second);
        await reborn.RegisterAsync();
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Queued);
        (await second.Get<NodeQueries>().ListAsync(Cancelled)).Single().Drain.ShouldBe(new Drain { By = "olga", Reason = "new fans" });

        await DrainAsync(second, reborn, null);
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    /// <summary>One that waits for it may wait for days: nobody else's devices do.</summary>
    [Fact]
    public async Task GangThatOnlyADrainedNodeCouldComplete_KeepsNothingFromOthers_AndSaysSo()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a");
        var b = await cluster.AddNodeAsync("node-b");
        await DrainAsync(cluster, b, new Drain { By = "olga" });
        var gang = await cluster.SubmitAsync(AJob().WithDevices(2));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var single = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(single)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(gang)).Reason.ShouldEndWith("1 is on a drained node (node-b); others may start before it");
    }

    [Fact]
    public async Task DrainAndResume_AreAnOperatorsCalls_AndShown()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var node = await scheduler.AddNodeAsync("node");
        var drain = new DrainNodeRequest { NodeId = "node", Reason = "new fans", Grace = new Duration { Seconds = 60 } };
        var resume = new ResumeNodeRequest { NodeId = node.NodeId };
        var operators = scheduler.Nodes(TestScheduler.OperatorToken);

        foreach (var denied in new[] { scheduler.Nodes(TestScheduler.SubmitterToken), scheduler.Nodes(TestScheduler.ViewerToken) })
        {
            (await RefusalAsync(() => denied.DrainNodeAsync(drain, cancellationToken: Cancelled))).StatusCode
                .ShouldBe(StatusCode.PermissionDenied);
            (await RefusalAsync(() => denied.ResumeNodeAsync(resume, cancellationToken: Cancelled))).StatusCode
                .ShouldBe(StatusCode.PermissionDenied);
        }

        var drained = (await operators.DrainNodeAsync(drain, cancellationToken: Cancelled)).Node;
        var shown = await GetAsync(scheduler);
        var resumed = (await operators.ResumeNodeAsync(resume, cancellationToken: Cancelled)).Node;

        (drained.Drain.By, drained.Drain.Reason, drained.Drain.KeepRunning, drained.Drain.Grace.Seconds)
            .ShouldBe(("olga", "new fans", false, 60));
        shown.Drain.ShouldBe(drained.Drain);
        resumed.Drain.ShouldBeNull();
        (await GetAsync(scheduler)).Drain.ShouldBeNull();
        Duration[] wrong = [new() { Seconds = -1 }, new() { Seconds = 3600 }, new() { Nanos = int.MaxValue }];
        foreach (var grace in wrong)
        {
            var request = new DrainNodeRequest { NodeId = "node", Grace = grace };
            (await RefusalAsync(() => operators.DrainNodeAsync(request, cancellationToken: Cancelled))).Detail.ShouldStartWith("grace is ");
        }
    }

    private static async Task<Status> RefusalAsync<T>(Func<AsyncUnaryCall<T>> call) =>
        (await Should.ThrowAsync<RpcException>(async () => await call())).Status;

    private static async Task DrainAsync(TestCluster cluster, TestNode node, Drain? drain) =>
        (await cluster.Get<NodeStore>().SetDrainAsync(node.Id, drain, Cancelled)).ShouldBeTrue();

    private static async Task<Node> GetAsync(TestScheduler scheduler) =>
        (await scheduler.Nodes().GetNodeAsync(new GetNodeRequest { NodeId = "node" }, cancellationToken: Cancelled)).Node;
}
