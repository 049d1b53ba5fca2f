using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Workspaces;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Queues;

/// <summary>Placement goes by the queues that are declared.</summary>
public sealed class QueuePlacementTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Queue_ThatIsOwedDevices_ComesBeforeAnOlderJob_AndAFullOneWaitsForItsQuota()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        await TestQueues.CreateAsync(cluster, "product", quota: 1, devices => devices.BorrowingLimit = 0);
        var older = await cluster.SubmitAsync(AJob().WithDevices(2));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var owed = await cluster.SubmitAsync(AJob().In("product"));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var beyond = await cluster.SubmitAsync(AJob().In("product"));

        await cluster.ReconcileAsync();

        (await cluster.GetAsync(owed)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(older)).ReasonCode.ShouldBe("waiting_for_devices");
        var waiting = await cluster.GetAsync(beyond);
        (waiting.ReasonCode, waiting.Queue.Position).ShouldBe(("waiting_for_quota", 1));
        waiting.Reason.ShouldBe("needs 1 cpu device, but queue 'product' has 1 of the 1 that it may have");
    }

    [Fact]
    public async Task Owner_HasNoMoreThanOneOwnerMayHave()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 3);
        await TestQueues.CreateAsync(cluster, "product", quota: 3, devices => devices.OwnerLimit = 1);
        var first = await cluster.SubmitAsync(AJob().In("product"));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var second = await cluster.SubmitAsync(AJob().In("product"));
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(first)).State.ShouldBe(JobState.Starting);
        var waiting = await cluster.GetAsync(second);
        (waiting.ReasonCode, waiting.Reason).ShouldBe((
            "waiting_for_owner_limit",
            "needs 1 cpu device, but alice has 1 of the 1 that one owner may have in queue 'product'"));
    }

    [Fact]
    public async Task Update_OfAWaitingJob_ChangesItsTurn_AndOfARunningOneWhereItCounts()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        await TestQueues.CreateAsync(cluster, "product", quota: 1);
        var running = await cluster.SubmitAsync();
        await cluster.RunAsync(running);
        var first = await cluster.SubmitAsync();
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var second = await cluster.SubmitAsync(AJob().WithPriority(-1));
        await cluster.Job(second).UpdateAsync(new UpdateJob(null, 0));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(second)).Queue.Position.ShouldBe(2);

        await cluster.Job(second).UpdateAsync(new UpdateJob("product", null));
        await cluster.Job(running).UpdateAsync(new UpdateJob("product", null));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(second)).Queue.Position.ShouldBe(1, "it is alone in its queue");
        var terms = new UseTerms(cluster.Time.GetUtcNow(), TimeSpan.FromDays(1));
        (await cluster.Get<QueueQueries>().GetAsync("product", terms, Visibility.All, Token))!.Used.Single().Devices.ShouldBe(1);
        (await cluster.GetAsync(running)).State.ShouldBe(JobState.Running, "it counts within the quota of the queue that asks for it");

        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(first)).State.ShouldBe(JobState.Queued);
        await cluster.Job(running).UpdateAsync(new UpdateJob("default", 5));
        (await cluster.GetAsync(running)).QueueName.ShouldBe("product", "it is over");
    }

    [Fact]
    public async Task PastUse_ThatOthersWaitedFor_OutlivesTheScheduler()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        await TestQueues.CreateAsync(first, "greedy", quota: 0);
        await TestQueues.CreateAsync(first, "patient", quota: 0);
        var running = await first.SubmitAsync(AJob().In("greedy"));
        await first.RunAsync(running);
        // It came first, and would come first again were it not for what its queue has used.
        var again = await first.SubmitAsync(AJob().In("greedy"));
        first.Time.Advance(TimeSpan.FromSeconds(1));
        var patient = await first.SubmitAsync(AJob().In("patient"));
        await first.ReconcileAsync();
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromMinutes(1); passed += TimeSpan.FromSeconds(5))
        {
            first.Time.Advance(TimeSpan.FromSeconds(5));
            await node.HeartbeatAsync();
        }

        await first.ReconcileAsync();
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var reborn = node.ConnectedTo(second);
        await reborn.HeartbeatAsync();
        await reborn.ExitAsync(running, 1, 0, TrainerExit.Done);
        await second.ReconcileAsync();

        (await second.GetAsync(patient)).State.ShouldBe(JobState.Starting);
        (await second.GetAsync(again)).State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task Queue_ThatIsGone_IsForgotten()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        await TestQueues.CreateAsync(cluster, "product", quota: 2, devices => devices.LendingLimit = 0);
        var job = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).Reason.ShouldBe("needs 1 cpu device, but what is idle beyond that other queues do not lend");

        (await cluster.Get<QueueStore>().DeleteAsync("product", Token)).ShouldBeNull();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }
}
