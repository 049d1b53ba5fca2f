using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>What it costs to follow a job.</summary>
public sealed class WatchCostTests(PostgresServer postgres)
{
    private const int Ranks = 8;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Progress_OfAGang_ReadsNoRowOfItsRanks()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var node = await scheduler.AddNodeAsync("gang", devices: Ranks);
        var spec = JobSpecBuilder.AJob().WithDevices(Ranks).Build();
        var job = (await scheduler.Jobs().SubmitJobAsync(new SubmitJobRequest { RequestId = "gang", Spec = spec })).Job.Id;
        var trainer = await scheduler.TrainAsync(node, job, attempt: 1);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromMinutes(1));
        using var watch = scheduler.Jobs(TestScheduler.ViewerToken).WatchJob(
            new WatchJobRequest { JobId = job, AfterSequence = 1000 }, cancellationToken: limit.Token);
        using var metrics = scheduler.Runs().StreamMetrics(
            new StreamMetricsRequest { JobId = job, Follow = true }, cancellationToken: limit.Token);
        using var logs = scheduler.Jobs(TestScheduler.ViewerToken).StreamLogs(
            new StreamLogsRequest { JobId = job, Follow = true }, cancellationToken: limit.Token);
        (await NextAsync(watch.ResponseStream)).Job.Placement.Count.ShouldBe(Ranks);
        await GoOnAsync(step: 1);

        using var statements = new Statements(scheduler.ConnectionString);
        for (var step = 2; step <= 4; step++)
            (await GoOnAsync(step)).Placement.Count.ShouldBe(Ranks);

        var read = statements.Of(StorePool.Queries);
        read.ShouldContain(text => text.Contains("from metrics"));
        read.ShouldContain(text => text.Contains("from logs"));
        read.Count(text => text.Contains("runs")).ShouldBeGreaterThan(3);
        // Once a second the scheduler counts its nodes' devices, of all jobs.
        read.Where(text => text.Contains("device_grants") && !text.Contains("from nodes")).ShouldBeEmpty();

        async Task<Job> GoOnAsync(int step)
        {
            await trainer.ReportAsync(new ReportRequest
            {
                Progress = new Progress { Step = step },
                Points = { new MetricPoint { Name = MetricNames.TrainLoss, Step = step, Epoch = 1, Value = 1 } },
            });
            await trainer.LogAsync($"step {step}");
            (await NextAsync(metrics.ResponseStream)).Points.ShouldHaveSingleItem().Step.ShouldBe(step);
            while ((await NextAsync(logs.ResponseStream)).Lines.Count == 0)
            {
                // That it has begun.
            }

            Job job;
            do
                job = (await NextAsync(watch.ResponseStream)).Job;
            while (job.Progress?.Step != step);
            return job;
        }
    }

    private static async Task<T> NextAsync<T>(IAsyncStreamReader<T> stream)
    {
        (await stream.MoveNext(Token)).ShouldBeTrue("the stream has ended");
        return stream.Current;
    }
}
