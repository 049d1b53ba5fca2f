using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>A node that shuts down takes its devices back: that is nobody's failure.</summary>
public sealed class EvictionTests(PostgresServer postgres)
{
    private const int Killed = 9;

    [Fact]
    public async Task Shutdown_OfANode_QueuesItsJobAtOnceWithoutARestart_AndOffersTheNodeNoMore()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(spec => spec.Restarts.MaxRestarts = 0));
        await cluster.RunAsync(job);

        await ShutDownAsync(node);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped, message: "stopped after step 5 of 10: the agent is shutting down");
        var evicted = await cluster.GetAsync(job);
        await cluster.ReconcileAsync();

        (evicted.State, evicted.Restarts, evicted.Reason).ShouldBe((JobState.Queued, 0, "node node-a is shutting down"));
        (await cluster.StatesAsync(job))
            .ShouldBe([JobState.Queued, JobState.Starting, JobState.Running, JobState.Stopping, JobState.Queued]);
        var waiting = await cluster.GetAsync(job);
        waiting.State.ShouldBe(JobState.Queued, waiting.Reason);
        waiting.Reason.ShouldContain("the one that it could use is not free");
    }

    [Fact]
    public async Task Shutdown_AndReturnOfANode_TrainsItsJobThereAgain()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await ShutDownAsync(a);
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        await b.ExitAsync(job, 1, 1, TrainerExit.Stopped);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);
        a.ShuttingDown = false;
        await a.RestartAsync();
        await cluster.ReconcileAsync();

        var again = await cluster.GetAsync(job);
        (again.State, again.Attempt, again.Restarts).ShouldBe((JobState.Starting, 2, 0));
    }

    /// <summary>Devices are given out until the scheduler has heard of the shutdown, and the agent is the first to know.</summary>
    [Fact]
    public async Task Launch_OnANodeThatShutsDown_IsNobodysFailure_AndTheNodeIsOfferedNoMore()
    {
        await using var cluster = await TestCluster.StartAsync(postgres, services =>
            services.Configure<NodeOptions>(options => options.QuarantineAfter = 1));
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        cluster.Agents.OnLaunch = (agent, _) => Task.FromResult(agent.Address.Host == "node-b"
            ? new LaunchResult(LaunchStatus.Closing, "Aborted: the agent is shutting down")
            : new LaunchResult(LaunchStatus.Launched, ""));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2).With(spec => spec.Restarts.MaxRestarts = 0));

        await cluster.ReconcileAsync();
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        var queued = await cluster.GetAsync(job);
        await cluster.ReconcileAsync();

        (queued.State, queued.Restarts, queued.Reason).ShouldBe((JobState.Queued, 0, "node node-b is shutting down"));
        (await cluster.GetAsync(job)).Attempt.ShouldBe(1, "it is not tried there again");
        (await TestDatabase.CountAsync(cluster, "node_faults")).ShouldBe(0);
        cluster.Agents.OnLaunch = (_, _) => Task.FromResult(new LaunchResult(LaunchStatus.Launched, ""));
        await b.RestartAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    /// <summary>All ranks stop together, and the agent that stays may be the first to report.</summary>
    [Fact]
    public async Task Shutdown_WhosePeersStopIsReportedFirst_IsAnEvictionAllTheSame()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await ShutDownAsync(a);
        await b.ExitAsync(job, 1, 1, TrainerExit.Stopped, message: "stopped after step 5 of 10: another rank was asked to");
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        var queued = await cluster.GetAsync(job);
        (queued.State, queued.Restarts, queued.Reason).ShouldBe((JobState.Queued, 0, "node node-a is shutting down"));
    }

    [Fact]
    public async Task Shutdown_WhoseGraceEndsBeforeTheCheckpoint_StopsThePeersAndIsAnEviction()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await ShutDownAsync(a);
        await a.ExitAsync(job, 1, 0, 0, Killed);
        await cluster.ReconcileAsync();
        var stop = cluster.Agents.Stops.ShouldHaveSingleItem();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
        await b.ExitAsync(job, 1, 1, exitCode: 1, message: "rank 0 did not take part in all_reduce");

        (stop.Agent, stop.Request.Reason).ShouldBe((b.Address, "node node-a is shutting down"));
        stop.Request.Grace.ToTimeSpan().ShouldBe(new JobOptions().CancelGrace);
        var queued = await cluster.GetAsync(job);
        (queued.State, queued.Restarts).ShouldBe((JobState.Queued, 0));
    }

    [Fact]
    public async Task Shutdown_AfterTheLastStep_IsSuccess()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await ShutDownAsync(node);
        await node.ExitAsync(job, 1, 0, TrainerExit.Done);
        await node.ExitAsync(job, 1, 1, TrainerExit.Done);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task Shutdown_OfAJobThatCannotRun_FailsIt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        await ShutDownAsync(node);
        await node.ExitAsync(job, 1, 0, TrainerExit.OutOfMemory, message: "asked for 20.00 MiB");

        var failed = await cluster.GetAsync(job);
        (failed.State, failed.Reason).ShouldBe((JobState.Failed, "rank 0 on node-a (cpu:0) ran out of memory: asked for 20.00 MiB"));
    }

    [Fact]
    public async Task Shutdown_AfterAnotherRankWasKilled_CountsThatRestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await b.ExitAsync(job, 1, 1, 0, Killed);
        await ShutDownAsync(a);
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        var queued = await cluster.GetAsync(job);
        (queued.State, queued.Restarts).ShouldBe((JobState.Queued, 1));
        queued.Reason.ShouldContain(": rank 1 on node-b (cpu:0) was ended by signal 9");
    }

    [Fact]
    public async Task Cancel_OfAJobThatIsBeingEvicted_Cancels()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, ranks: 2);

        await ShutDownAsync(a);
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        await b.ExitAsync(job, 1, 1, TrainerExit.Stopped);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Cancelled);
    }

    private static async Task ShutDownAsync(TestNode node)
    {
        node.ShuttingDown = true;
        await node.HeartbeatAsync();
    }
}
