using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

public sealed class LifecycleTests(PostgresServer postgres)
{
    [Fact]
    public async Task Job_WhoseRanksAllEndWell_GoesFromQueuedToSucceeded()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (a, b) = (await cluster.AddNodeAsync("node-a"), await cluster.AddNodeAsync("node-b"));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));

        var attempt = await cluster.RunAsync(job, ranks: 2);
        await a.ExitAsync(job, attempt, 0, TrainerExit.Done);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
        await b.ExitAsync(job, attempt, 1, TrainerExit.Done);

        var done = await cluster.GetAsync(job);
        done.State.ShouldBe(JobState.Succeeded);
        done.FinishedAt.ShouldNotBeNull();
        done.Placement.Select(p => (p.Rank, p.NodeName, p.Device)).ShouldBe([(0, "node-a", "cpu:0"), (1, "node-b", "cpu:0")]);
        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued, JobState.Starting, JobState.Running, JobState.Succeeded]);
        (await cluster.Get<NodeQueries>().ListAsync(TestContext.Current.CancellationToken)).SelectMany(n => n.Devices)
            .ShouldAllBe(d => d.JobId == "");
    }

    [Fact]
    public async Task Events_AreDenseAndCarryReasonAndAttempt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, TrainerExit.Done);

        var events = await cluster.Get<JobQueries>().EventsAsync(job, 0, TestContext.Current.CancellationToken);

        events.Select(e => e.Sequence).ShouldBe([1, 2, 3, 4]);
        events.Select(e => e.Attempt).ShouldBe([0, 1, 1, 1]);
        events.Select(e => e.FromState).ShouldBe([JobState.Unspecified, JobState.Queued, JobState.Starting, JobState.Running]);
        events[0].Reason.ShouldBe("submitted by alice");
        events[1].Reason.ShouldBe("attempt 1 on node-a (cpu:0)");
        events.ShouldAllBe(e => e.Reason.Length > 0);
    }
}
