using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Reconciliation;

/// <summary>The scheduler's process ends, and another begins on the same database.</summary>
public sealed class SchedulerRestartTests(PostgresServer postgres)
{
    [Fact]
    public async Task RunningJob_GoesOnAsIfNothingHadHappened()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync(devices: 2);
        var job = await first.SubmitAsync(AJob().WithDevices(2));
        await first.RunAsync(job, ranks: 2);
        node.Running.Add(new AttemptKey(job, 1));
        await node.ExitAsync(job, 1, 1, TrainerExit.Done);
        await first.DisposeAsync();
        // Away for longer than any lease.
        first.Time.Advance(TimeSpan.FromMinutes(5));

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var reborn = node.ConnectedTo(second);
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Running, "every lease has one fresh term");
        (await reborn.HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Unknown, "the secret to call the agent with is not stored");
        (await reborn.RegisterAsync()).Stale.ShouldBeEmpty();
        await second.Get<AttemptReports>().ReportAsync(
            second.Credential(job, 1), new ReportRequest { Sequence = 2, Progress = new Progress { Step = 7 } },
            TestContext.Current.CancellationToken);
        await reborn.ExitAsync(job, 1, 0, TrainerExit.Done);

        var done = await second.GetAsync(job);
        (done.State, done.Attempt, done.Restarts, done.Progress.Step).ShouldBe((JobState.Succeeded, 1, 0, 7));
        first.Agents.Launches.Count.ShouldBe(1);
    }

    [Fact]
    public async Task NodeThatDoesNotReturn_IsLostOnceTheFreshTermIsOver()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        await first.AddNodeAsync();
        var job = await first.SubmitAsync();
        await first.RunAsync(job);
        await first.DisposeAsync();
        first.Time.Advance(TimeSpan.FromMinutes(5));

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        second.Time.Advance(new NodeOptions().LeaseDuration);
        await second.ReconcileAsync();

        (await second.GetAsync(job)).State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task AttemptWhoseLaunchWasNotConfirmed_IsGivenUp_AndTheJobStartsAnew()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        var job = await first.SubmitAsync();
        await first.Grains.GetGrain<IPlacementGrain>(0).RunCycleAsync();
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var reborn = node.ConnectedTo(second);
        await reborn.RegisterAsync();
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Starting, "who knows whether the agent heard of it");
        await reborn.HeartbeatAsync();
        await reborn.HeartbeatAsync();
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Queued);
        second.Time.Advance(TimeSpan.FromSeconds(5));
        await reborn.HeartbeatAsync();
        await second.ReconcileAsync();

        (await second.GetAsync(job)).Attempt.ShouldBe(2);
        second.Agents.Launches.ShouldHaveSingleItem().Request.Attempt.ShouldBe(2);
    }

    [Fact]
    public async Task JobPlacedBeforeItsAgentIsBack_WaitsForIt()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        var job = await first.SubmitAsync();
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Starting);
        second.Agents.Launches.ShouldBeEmpty();
        await node.ConnectedTo(second).RegisterAsync();
        await second.ReconcileAsync();

        second.Agents.Launches.ShouldHaveSingleItem();
        (await second.GetAsync(job)).Attempt.ShouldBe(1);
    }

    [Fact]
    public async Task StopThatWasUnderWay_IsAskedForAgain()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        var job = await first.SubmitAsync();
        await first.RunAsync(job);
        await first.Job(job).CancelAsync(new CancelJob("alice", ""));
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var reborn = node.ConnectedTo(second);
        await reborn.RegisterAsync();
        await second.ReconcileAsync();
        second.Agents.Stops.ShouldHaveSingleItem();
        await reborn.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        (await second.GetAsync(job)).State.ShouldBe(JobState.Cancelled);
    }
}
