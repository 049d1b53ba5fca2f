using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>Data that comes to nodes and goes from them while the cluster runs.</summary>
public sealed class DataTests(PostgresServer postgres)
{
    private const string Fashion = "fashion-mnist";
    private const string Photos = "image-folder/photos";
    private const string Gone = "fashion-mnist is no longer in /data";
    private const string NobodyHasThePhotos = $"data.folder is '{Photos}', which no registered node has (they have {Fashion})";

    [Fact]
    public async Task DataThatArrives_StartsTheJobsThatWaitForIt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(Photo(), waitForCapacity: true);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).Reason.ShouldStartWith(NobodyHasThePhotos);

        (await node.OfferAsync(Fashion, Photos)).ShouldBe(HeartbeatStatus.Renewed);
        cluster.Get<ReconcileSignal>().Requests.TryPeek(out _).ShouldBeTrue("placement is not to wait for its next turn");
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task DataThatGoes_IsSaidByTheJobsThatWait_AndTakesNoJobAnyMore()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(configure: n => n.DataSets = [Fashion, Photos]);
        var running = await cluster.SubmitAsync();
        await cluster.RunAsync(running);
        var waiting = await cluster.SubmitAsync(Photo());
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(waiting)).Reason.ShouldContain("the one that it could use is not free");

        await node.OfferAsync(Fashion);
        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();

        var still = await cluster.GetAsync(waiting);
        still.State.ShouldBe(JobState.Queued);
        still.Reason.ShouldStartWith(NobodyHasThePhotos);
    }

    [Fact]
    public async Task DataSets_OfANodeWithoutALease_AreNotTaken()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var older = node.Incarnation;
        await node.RestartAsync();
        var current = node.Incarnation;
        node.Incarnation = older;
        (await node.OfferAsync(Photos)).ShouldBe(HeartbeatStatus.Superseded);
        node.Incarnation = current;
        cluster.Time.Advance(new NodeOptions().LeaseDuration);
        await cluster.ReconcileAsync();

        (await node.OfferAsync(Photos)).ShouldBe(HeartbeatStatus.Unknown);
        (await new TestNode(cluster, "stranger", 1).OfferAsync(Photos)).ShouldBe(HeartbeatStatus.Unknown);
    }

    [Fact]
    public async Task JobWhoseDataIsGone_WaitsForANodeThatHasIt_AndSpendsNoRestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().WithRestarts(0));
        await cluster.RunAsync(job);

        await node.OfferAsync();
        await node.ExitAsync(job, 1, 0, TrainerExit.DataGone, message: Gone);
        var queued = await cluster.GetAsync(job);
        await cluster.ReconcileAsync();

        (queued.State, queued.Restarts, queued.Reason).ShouldBe((JobState.Queued, 0, $"node node-a has the job's data no more: {Gone}"));
        (await cluster.GetAsync(job)).Reason.ShouldStartWith("data.name is 'fashion-mnist', which no registered node has");
        await cluster.AddNodeAsync("node-b");
        await cluster.ReconcileAsync();
        var again = await cluster.GetAsync(job);
        (again.State, again.Attempt, again.Restarts, again.Placement.Single().NodeName).ShouldBe((JobState.Starting, 2, 0, "node-b"));
    }

    /// <summary>All ranks hear from the one that lacks its data, and say what it says; one elsewhere may be reported first.</summary>
    [Theory]
    [InlineData(TrainerExit.Misconfigured, true)]
    [InlineData(TrainerExit.Misconfigured, false)]
    [InlineData(1, true)]
    [InlineData(1, false)]
    public async Task PeersOfARankWhoseDataIsGone_DoNotFailTheJob_WhateverTheySay(int exitCode, bool peerFirst)
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2).WithRestarts(0));
        await cluster.RunAsync(job, ranks: 2);

        if (peerFirst)
            await b.ExitAsync(job, 1, 1, exitCode, message: "node node-a: the folder does not exist");
        await a.ExitAsync(job, 1, 0, TrainerExit.DataGone, message: Gone);
        if (!peerFirst)
            await b.ExitAsync(job, 1, 1, exitCode, message: "node node-a: the folder does not exist");

        var queued = await cluster.GetAsync(job);
        (queued.State, queued.Restarts).ShouldBe((JobState.Queued, 0), queued.Reason);
        queued.Reason.ShouldStartWith("node node-a has the job's data no more");
    }

    private static JobSpecBuilder Photo() => AJob().With(spec => spec.Data = new DataSpec { Name = "image-folder", Folder = "photos" });
}
