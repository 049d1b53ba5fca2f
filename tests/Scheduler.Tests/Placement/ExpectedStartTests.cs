using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Workspaces;
using Microsoft.Extensions.DependencyInjection;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>A waiting job knows when it is likely to start, and what was said is held against what came true.</summary>
public sealed class ExpectedStartTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Waiting_HasAnExpectedStart_AndWhatWouldLetItStartSooner_WhichGoWhenItStarts()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 2);
        var running = await RunAsync(cluster);
        var gang = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.ReconcileAsync();

        var ends = cluster.Time.GetUtcNow().AddSeconds(100);
        var waiting = (await cluster.GetAsync(gang)).Queue;
        waiting.EstimatedStart.ToDateTimeOffset().ShouldBe(ends, TimeSpan.FromSeconds(30));
        waiting.LateStart.ToDateTimeOffset().ShouldBeGreaterThanOrEqualTo(waiting.EstimatedStart.ToDateTimeOffset());
        waiting.Sooner.ShouldBe(["with 1 device instead of 2", $"when job {running} ends, about {ends:HH:mm:ss} UTC"]);

        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        cluster.Time.Advance(new PlacementOptions().ForecastInterval);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(gang)).State.ShouldBe(JobState.Starting);
        (await TestDatabase.CountAsync(cluster, "expected_starts")).ShouldBe(0);
    }

    [Fact]
    public async Task Job_BehindOneOfWhichNobodyKnowsWhenItEnds_HasNoExpectedStart()
    {
        await using var cluster = await StartAsync();
        await cluster.AddNodeAsync();
        await cluster.RunAsync(await cluster.SubmitAsync());
        var waiting = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();

        var queue = (await cluster.GetAsync(waiting)).Queue;
        (queue.Position, queue.EstimatedStart, queue.LateStart).ShouldBe((1, null, null));
    }

    [Fact]
    public async Task Accuracy_ComparesTheFirstForecastWithTheStart()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        await TestQueues.CreateAsync(cluster, "product", quota: 1);
        var running = await RunAsync(cluster);
        await cluster.SubmitAsync(AJob().In("product").WithPriority(-1));
        // It is not owed anything that it could preempt for: what runs has its queue's quota.
        await cluster.Job(running).UpdateAsync(new UpdateJob("product", null));
        await cluster.ReconcileAsync();
        var none = await AccuracyAsync("");
        cluster.Time.Advance(TimeSpan.FromSeconds(100 + 300));
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();
        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();

        var accuracy = await AccuracyAsync("product");

        none.Jobs.ShouldBe(0, "it has not started yet");
        (accuracy.Jobs, accuracy.Close, accuracy.WithinTenMinutes, accuracy.ByLikely, accuracy.ByLate).ShouldBe((1, 0, 1, 0, 0));
        accuracy.MedianErrorSeconds.ShouldBe(300, 30);
        (await AccuracyAsync("default")).Jobs.ShouldBe(0);

        Task<GetAccuracyResponse> AccuracyAsync(string queue) =>
            cluster.Get<QueueQueries>().AccuracyAsync(queue, Visibility.All, Token);
    }

    private Task<TestCluster> StartAsync() => TestCluster.StartAsync(
        postgres, services => services.Configure<NodeOptions>(options => options.LeaseDuration = TimeSpan.FromMinutes(10)));

    /// <summary>A job that has 100 seconds to go.</summary>
    private static async Task<JobId> RunAsync(TestCluster cluster)
    {
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        await ReportAsync(2, 100);
        cluster.Time.Advance(TimeSpan.FromSeconds(100));
        await ReportAsync(3, 10_100);
        return job;

        Task ReportAsync(long sequence, long step) => cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1), new ReportRequest { Sequence = sequence, Progress = new Progress { Step = step, Steps = 20_100 } },
            Token);
    }
}
