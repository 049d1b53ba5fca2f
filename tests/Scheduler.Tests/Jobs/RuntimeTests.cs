using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>A job that may train for so long, all its attempts together.</summary>
public sealed class RuntimeTests(PostgresServer postgres)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);

    private static JobSpecBuilder AShortJob => AJob().With(spec => spec.MaxRuntime = Duration.FromTimeSpan(Limit));

    [Fact]
    public async Task MaxRuntime_OnceItIsOver_StopsTheJobAtACheckpoint_AndItEndsAsTimedOut()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AShortJob);
        await cluster.RunAsync(job);

        cluster.Time.Advance(Limit - Moment);
        (await cluster.PassAsync()).ShouldBe(cluster.Time.GetUtcNow() + Moment);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
        cluster.Time.Advance(Moment);
        await cluster.PassAsync();

        var stopping = await cluster.GetAsync(job);
        const string reason = "timed out: it has trained for 00:10:00, its maxRuntime";
        (stopping.State, stopping.Reason, stopping.ReasonCode).ShouldBe((JobState.Stopping, reason, "timed_out"));
        cluster.Agents.Stops.ShouldHaveSingleItem().Request.Grace.ToTimeSpan().ShouldBe(new JobOptions().CancelGrace);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        var ended = await cluster.GetAsync(job);
        (ended.State, ended.Reason, ended.ReasonCode, ended.Restarts).ShouldBe((JobState.Failed, reason, "timed_out", 0));
    }

    [Fact]
    public async Task MaxRuntime_CountsAllAttempts_AndNoPauseBetween_OverASchedulersRestart()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        var job = await first.SubmitAsync(AShortJob);
        await first.RunAsync(job);
        first.Time.Advance(Limit * 0.6);
        await first.Job(job).PauseAsync(new PauseJob("bob", ""));
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        first.Time.Advance(TimeSpan.FromDays(1));
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var reborn = node.ConnectedTo(second);
        await reborn.RegisterAsync();
        await second.Job(job).ResumeAsync("bob");
        await second.RunAsync(job);
        second.Time.Advance((Limit * 0.4) - Moment);
        await second.PassAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Running);
        second.Time.Advance(Moment);
        await second.PassAsync();

        (await second.GetAsync(job)).ReasonCode.ShouldBe("timed_out");
    }

    [Fact]
    public async Task MaxRuntime_ThatEndsWithTheLastStep_IsSuccess()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AShortJob);
        await cluster.RunAsync(job);
        cluster.Time.Advance(Limit);
        await cluster.PassAsync();

        await node.ExitAsync(job, 1, 0, TrainerExit.Done);

        var done = await cluster.GetAsync(job);
        (done.State, done.ReasonCode).ShouldBe((JobState.Succeeded, ""));
    }

    [Fact]
    public async Task Cancel_OfAJobWhoseTimeIsOver_Cancels()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AShortJob);
        await cluster.RunAsync(job);
        cluster.Time.Advance(Limit);
        await cluster.PassAsync();
        (await cluster.Job(job).PauseAsync(new PauseJob("bob", ""))).ShouldBeFalse("it is about to be over");

        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        var cancelled = await cluster.GetAsync(job);
        (cancelled.State, cancelled.ReasonCode).ShouldBe((JobState.Cancelled, ""));
    }

    [Fact]
    public async Task MinRuntime_IsInTheQueuesRow()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);

        await cluster.SubmitAsync(AJob().With(spec => spec.MinRuntime = Duration.FromTimeSpan(Limit)), waitForCapacity: true);

        (await cluster.QueryAsync("select min_runtime from job_queue")).ShouldBe(Limit);
    }
}
