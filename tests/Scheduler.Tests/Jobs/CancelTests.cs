using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

public sealed class CancelTests(PostgresServer postgres)
{
    private static readonly CancelJob ByBob = new("bob", "no longer needed");

    [Fact]
    public async Task Cancel_WhenQueued_IsDoneAtOnce()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();

        await cluster.Job(job).CancelAsync(ByBob);

        var cancelled = await cluster.GetAsync(job);
        cancelled.State.ShouldBe(JobState.Cancelled);
        cancelled.Reason.ShouldBe("cancelled by bob: no longer needed");
        await cluster.ReconcileAsync();
        cluster.Agents.Launches.ShouldBeEmpty();
    }

    [Fact]
    public async Task Cancel_BetweenGrantAndLaunch_FreesTheDeviceWithoutCallingAnyAgent()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Grains.GetGrain<IPlacementGrain>(0).RunCycleAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);

        await cluster.Job(job).CancelAsync(ByBob);
        await cluster.ReconcileAsync();

        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued, JobState.Starting, JobState.Stopping, JobState.Cancelled]);
        cluster.Agents.Launches.ShouldBeEmpty();
        cluster.Agents.Stops.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cancel_OnceLaunched_WaitsForEveryTrainersConfirmedExit(bool running)
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        if (running)
            await cluster.RunAsync(job, ranks: 2);
        else
            await cluster.ReconcileAsync();

        await cluster.Job(job).CancelAsync(ByBob);
        await cluster.Job(job).CancelAsync(ByBob);
        await cluster.ReconcileAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
        var stop = cluster.Agents.Stops.ShouldHaveSingleItem("each node is asked once").Request;
        stop.Grace.ToTimeSpan().ShouldBe(new JobOptions().CancelGrace);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
        await node.ExitAsync(job, 1, 1, TrainerExit.Stopped);

        var cancelled = await cluster.GetAsync(job);
        cancelled.State.ShouldBe(JobState.Cancelled);
        cancelled.Reason.ShouldBe("cancelled by bob: no longer needed");
    }

    [Fact]
    public async Task Cancel_OfAFinalJob_ChangesNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, TrainerExit.Done);

        await cluster.Job(job).CancelAsync(ByBob);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task Cancel_OfAnUnknownJob_SaysSo()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);

        await Should.ThrowAsync<JobNotFoundException>(() => cluster.Job(JobId.New()).CancelAsync(ByBob));
    }

    [Fact]
    public async Task Cancel_DuringBackoff_IsDoneAtOnce()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);

        await cluster.Job(job).CancelAsync(ByBob);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Cancelled);
    }

    /// <summary>The agent took the stop but its exits never come: its heartbeats show that nothing runs.</summary>
    [Fact]
    public async Task Cancel_WhereNothingRunsAnyMore_EndsAfterTwoHeartbeatsWithoutTheAttempt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        node.Running.Add(new AttemptKey(job, 1));
        await cluster.Job(job).CancelAsync(ByBob);
        await cluster.ReconcileAsync();

        await node.HeartbeatAsync();
        node.Running.Clear();
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Cancelled);
    }
}
