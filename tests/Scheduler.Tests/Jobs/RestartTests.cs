using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

public sealed class RestartTests(PostgresServer postgres)
{
    private const int Killed = 9;

    [Fact]
    public async Task OneRanksEnd_StopsTheOthers_AndRestartsAllOnceEveryOneIsGone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await b.ExitAsync(job, 1, 1, 0, Killed);
        await cluster.ReconcileAsync();

        var stop = cluster.Agents.Stops.ShouldHaveSingleItem();
        stop.Agent.ShouldBe(a.Address);
        stop.Request.Grace.ToTimeSpan().ShouldBe(new JobOptions().FailureGrace);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running, "rank 0 still holds its device");
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        var queued = await cluster.GetAsync(job);
        queued.State.ShouldBe(JobState.Queued);
        queued.Restarts.ShouldBe(1);
        queued.Reason.ShouldBe(
            "waits until 00:00:05 UTC after a failure: rank 1 on node-b (cpu:0) was ended by signal 9 (killed); restart 1 of 3");

        cluster.Time.Advance(TimeSpan.FromSeconds(5));
        await a.HeartbeatAsync();
        await b.HeartbeatAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(job)).Attempt.ShouldBe(2);
    }

    [Fact]
    public async Task Restart_WaitsOutItsBackoff_WhichDoubles()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();

        foreach (var seconds in new[] { 5, 10, 20 })
        {
            await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1);
            await HeartbeatsUntilAsync(TimeSpan.FromSeconds(seconds - 1));
            (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);
            (await cluster.GetAsync(job)).Reason.ShouldStartWith("waits until");
            await HeartbeatsUntilAsync(TimeSpan.FromSeconds(1));
            (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        }

        async Task HeartbeatsUntilAsync(TimeSpan time)
        {
            for (var passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromSeconds(1))
            {
                cluster.Time.Advance(TimeSpan.FromSeconds(1));
                await node.HeartbeatAsync();
            }

            await cluster.ReconcileAsync();
        }
    }

    [Fact]
    public async Task Restart_FindsItsDevices_ThoughALowerPriorityWaitedForThem()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().WithPriority(5));
        await cluster.RunAsync(job);
        var lower = await cluster.SubmitAsync();

        await node.ExitAsync(job, 1, 0, exitCode: 1);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(lower)).Reason.ShouldBe(
            $"waits its turn: the free device is kept for job {job}, which starts again at 00:00:05 UTC after a failure");
        cluster.Time.Advance(TimeSpan.FromSeconds(5));
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(lower)).State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task LastRestartUsed_FailsWithTheCause()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts = new RestartPolicy { MaxRestarts = 1 }));

        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1, message: "loss is NaN");
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1, message: "loss is NaN");

        var failed = await cluster.GetAsync(job);
        failed.State.ShouldBe(JobState.Failed);
        failed.Reason.ShouldBe("rank 0 on node-a (cpu:0) exited with code 1: loss is NaN; its one restart is used");
        failed.FinishedAt.ShouldNotBeNull();
        (await cluster.StatesAsync(job)).ShouldBe(
            [JobState.Queued, JobState.Starting, JobState.Running, JobState.Queued, JobState.Starting, JobState.Running, JobState.Failed]);
    }

    [Fact]
    public async Task Misconfigured_FailsWithoutRestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();

        await node.ExitAsync(
            job, 1, 0, TrainerExit.Misconfigured, message: "model.options.width is 0.001, which leaves conv1 without channels");

        var failed = await cluster.GetAsync(job);
        failed.State.ShouldBe(JobState.Failed);
        failed.Reason.ShouldBe(
            "rank 0 on node-a (cpu:0) exited with code 78: model.options.width is 0.001, which leaves conv1 without channels");
        failed.Restarts.ShouldBe(0);
    }

    /// <summary>The survivor sees its peer die, fails of it, and its agent happens to report first.</summary>
    [Fact]
    public async Task Cause_IsTheRankThatWasKilled_NotThePeerThatNoticed()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await a.ExitAsync(job, 1, 0, exitCode: 1, message: "rank 1 did not take part in all_reduce");
        await b.ExitAsync(job, 1, 1, 0, Killed);

        (await cluster.GetAsync(job)).Reason.ShouldContain(": rank 1 on node-b (cpu:0) was ended by signal 9");
    }

    /// <summary>What failed once may have been the job's own doing, and its data are in the node's memory.</summary>
    [Fact]
    public async Task FailedJob_RestartsOnItsOwnDevices_AndElsewhereOnceTheirNodeHasFailedItTwiceInARow()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var a = await cluster.AddNodeAsync("node-a", devices: 2);
        var other = await cluster.SubmitAsync();
        await cluster.RunAsync(other);
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts.InitialBackoff = new Duration()));
        await cluster.RunAsync(job);
        (await cluster.GetAsync(job)).Placement.Single().Device.ShouldBe("cpu:1");
        await a.ExitAsync(other, 1, 0, TrainerExit.Done);
        var b = await cluster.AddNodeAsync("node-b");

        await a.ExitAsync(job, 1, 0, 0, Killed);
        await cluster.RunAsync(job);
        var again = (await cluster.GetAsync(job)).Placement.Single();
        (again.NodeName, again.Device).ShouldBe(("node-a", "cpu:1"));
        await a.ExitAsync(job, 2, 0, 0, Killed);
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).Placement.Single().NodeName.ShouldBe("node-b");
        b.Address.ShouldBe(cluster.Agents.Launches[^1].Agent);
    }

    /// <summary>Before an older job of its priority, and though a lower one is there that fits.</summary>
    [Fact]
    public async Task OwnDevices_AreHeldThroughThePause_AgainstAllButAHigherPriority()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var older = await cluster.SubmitAsync(AJob().WithPriority(-1));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        await cluster.Job(older).UpdateAsync(new UpdateJob(null, 0));

        await node.ExitAsync(job, 1, 0, exitCode: 1);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(older)).ReasonCode.ShouldBe("waiting_for_turn");

        await cluster.Job(older).UpdateAsync(new UpdateJob(null, 1));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(older)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task RankThatGoesOnAfterTheOthersAreDone_IsStopped()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);
        await node.ExitAsync(job, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();
        cluster.Agents.Stops.ShouldBeEmpty();

        await AdvanceAliveAsync(cluster, node, new JobOptions().FinishGrace);
        await cluster.ReconcileAsync();

        cluster.Agents.Stops.ShouldHaveSingleItem()
            .Request.Reason.ShouldBe("rank 1 on node-a (cpu:1) goes on though rank 0 was done 300 s ago");
    }

    [Fact]
    public async Task RankThatNeverBeginsToTrain_EndsTheAttempt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();

        await AdvanceAliveAsync(cluster, node, new JobOptions().StartDeadline);
        await cluster.ReconcileAsync();
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        var queued = await cluster.GetAsync(job);
        queued.State.ShouldBe(JobState.Queued);
        queued.Reason.ShouldEndWith(": rank 0 on node-a (cpu:0) does not train yet, and has said nothing for 600 s; restart 1 of 3");
    }

    /// <summary>
    /// A node may read its data for longer than the deadline; its peers then wait as long as it says so, and it as long as they do.
    /// </summary>
    [Fact]
    public async Task RanksThatSayThatTheyAreThere_MayTakeLongerToBegin_ButNotTheOneThatFallsSilent()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.ReconcileAsync();
        var half = new JobOptions().StartDeadline / 2;

        for (var i = 0; i < 4; i++)
        {
            await AdvanceAliveAsync(cluster, node, half);
            await cluster.Job(job).RankLivesAsync(1, 0);
            await cluster.Job(job).RankLivesAsync(1, 1);
            await cluster.ReconcileAsync();
        }

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        cluster.Agents.Stops.ShouldBeEmpty();
        await AdvanceAliveAsync(cluster, node, half);
        await cluster.Job(job).RankLivesAsync(1, 0);
        await AdvanceAliveAsync(cluster, node, half);
        await cluster.ReconcileAsync();

        cluster.Agents.Stops.ShouldHaveSingleItem()
            .Request.Reason.ShouldBe("rank 1 on node-a (cpu:1) does not train yet, and has said nothing for 600 s");
    }

    [Fact]
    public async Task Exit_ReportedTwice_CountsOnce()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        await node.ExitAsync(job, 1, 0, exitCode: 1);
        await node.ExitAsync(job, 1, 0, exitCode: 1);

        (await cluster.GetAsync(job)).Restarts.ShouldBe(1);
    }

    [Fact]
    public async Task Exit_ReportedByANodeThatDoesNotRunTheRank_IsIgnored()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a");
        var stranger = await cluster.AddNodeAsync("node-b");
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        await stranger.ExitAsync(job, 1, 0, exitCode: 0);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 10)]
    [InlineData(4, 40)]
    [InlineData(7, 300)]
    [InlineData(1000, 300)]
    public void Backoff_DoublesUpToItsMaximum(int failures, int seconds) =>
        Backoff.After(failures, AJob().Build().Restarts).ShouldBe(TimeSpan.FromSeconds(seconds));

    private static async Task AdvanceAliveAsync(TestCluster cluster, TestNode node, TimeSpan time)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromSeconds(5))
        {
            cluster.Time.Advance(TimeSpan.FromSeconds(5));
            (await node.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Renewed);
        }
    }
}
