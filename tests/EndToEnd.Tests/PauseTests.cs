using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.EndToEnd.Tests;

/// <summary>Parts that are away for a while and come back: nothing is lost by that, and nothing starts anew.</summary>
public sealed class PauseTests(LocalCluster cluster)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = 3 * Lease;
    private static readonly TimeSpan Outage = 5 * Lease;

    // With the time since the last heartbeat half a lease: as much again is left to renew it in.
    private static readonly TimeSpan LessThanALease = TimeSpan.FromSeconds(1.5);

    /// <summary>Longer than any lease, and shorter than agents go on without a store.</summary>
    private const double LongOutageSeconds = 300;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>On a fast machine the job ends within one of the pauses, which is as good a moment as any.</summary>
    [Fact]
    public async Task PausesOfSchedulerStoreAndAgent_CostNoNodeAndNoRestart()
    {
        var scheduler = cluster.ProcessId("scheduler");
        var registered = await RegisteredAsync();
        var job = await cluster.SubmitAsync(JobFiles.LeNet("paused", epochs: 80), Cancelled);
        await cluster.WaitAsync(job.Id, now => now.Progress?.Step > 20, Cancelled);
        using var watch = cluster.Jobs.WatchJob(new WatchJobRequest { JobId = job.Id }, cancellationToken: Cancelled);
        (await watch.ResponseStream.MoveNext(Cancelled)).ShouldBeTrue();
        var watched = EndOfAsync(watch);

        await cluster.PostgresAsync("stop_postgres", Cancelled);
        await Task.Delay(Outage, Cancelled);
        await cluster.PostgresAsync("start_postgres", Cancelled);
        (await RegisteredAsync()).ShouldBe(registered, "a node that loses its lease registers again");
        await Processes.PauseAsync(scheduler, () => Task.Delay(Pause, Cancelled));
        (await RegisteredAsync()).ShouldBe(registered);
        await cluster.PostgresAsync("stop_postgres; start_postgres", Cancelled);
        (await RegisteredAsync()).ShouldBe(registered);
        await Processes.PauseAsync(cluster.ProcessId("worker-2"), () => Task.Delay(LessThanALease, Cancelled));

        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);
        (done.Attempt, done.Restarts).ShouldBe((1, 0));
        // To its end, or to an error that says what was away; it does not hang.
        var end = await Patience.BoundAsync(watched.WaitAsync, () => Task.FromResult("the watch goes on"), Cancelled);
        end.ShouldBeOneOf(StatusCode.OK, StatusCode.Unavailable);
        var losses = await cluster.SeriesAsync(job.Id, MetricNames.TrainLoss, Cancelled);
        losses.Select(point => point.Step).ShouldBe(Enumerable.Range(1, (int)done.Progress.Steps).Select(step => (long)step));
        (await RegisteredAsync()).ShouldBe(registered);
        Processes.With("/Cluster.Scheduler").ShouldContain(scheduler);
    }

    /// <summary>CLUSTER_OUTAGE_SECONDS says how long, if it is given.</summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task StoreThatIsAwayForFiveMinutes_EndsNoTraining_AndLosesNoPointAndNoCheckpoint()
    {
        var setting = Environment.GetEnvironmentVariable("CLUSTER_OUTAGE_SECONDS");
        var outage = TimeSpan.FromSeconds(
            string.IsNullOrEmpty(setting) ? LongOutageSeconds : double.Parse(setting, CultureInfo.InvariantCulture));
        var job = await cluster.SubmitAsync(JobFiles.Endless("store-away"), Cancelled);
        await cluster.WaitAsync(job.Id, now => now.Progress?.Step > 50, Cancelled);
        await StoredAsync(job.Id, _ => true);
        var kept = await CheckpointsAsync(job.Id);

        await cluster.PostgresAsync("stop_postgres", Cancelled);
        var (gone, back) = (DateTime.UtcNow, default(DateTime));
        try
        {
            await Task.Delay(outage, Cancelled);
        }
        finally
        {
            back = DateTime.UtcNow;
            await cluster.PostgresAsync("start_postgres", CancellationToken.None);
        }

        var ready = DateTime.UtcNow;
        await StoredAsync(job.Id, checkpoint => checkpoint.CreatedAt.ToDateTime() > ready);
        var trained = await cluster.WaitAsync(job.Id, now => now.State == JobState.Running, Cancelled);
        await cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = job.Id }, cancellationToken: Cancelled);
        await cluster.WaitAsync(job.Id, now => now.State == JobState.Cancelled, Cancelled);

        (trained.Attempt, trained.Restarts).ShouldBe((1, 0));
        var losses = await PointsAsync(job.Id, MetricNames.TrainLoss);
        losses.Select(point => point.Step).ShouldBe(Enumerable.Range(1, losses.Count).Select(step => (long)step));
        const int Parts = 5;
        for (var part = 0; part < Parts; part++)
        {
            var (from, to) = (gone + (part * (back - gone) / Parts), gone + ((part + 1) * (back - gone) / Parts));
            losses.Count(point => point.Time.ToDateTime() >= from && point.Time.ToDateTime() < to)
                .ShouldBeGreaterThan(0, $"steps from {from:T} to {to:T}");
        }

        var stored = await CheckpointsAsync(job.Id);
        kept.Select(checkpoint => checkpoint.Id).ShouldBeSubsetOf(stored.Select(checkpoint => checkpoint.Id));
        var madeUntil = losses.Last(point => point.Time.ToDateTime() < back).Step;
        stored.ShouldContain(
            checkpoint => checkpoint.CreatedAt.ToDateTime() > gone && checkpoint.Step <= madeUntil,
            "one that was due without a store is there once it is back");
    }

    private async Task<IReadOnlyList<Checkpoint>> CheckpointsAsync(string jobId) =>
        [.. (await cluster.Runs.ListCheckpointsAsync(
            new ListCheckpointsRequest { JobId = jobId, Limit = 1000 }, cancellationToken: Cancelled)).Checkpoints
            .OrderBy(checkpoint => checkpoint.Step)];

    /// <summary>Returns when there is such a checkpoint.</summary>
    private Task StoredAsync(string jobId, Func<Checkpoint, bool> wanted) => Patience.BoundAsync(
        async token =>
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            while (!(await CheckpointsAsync(jobId)).Any(wanted))
                await timer.WaitForNextTickAsync(token);
            return true;
        },
        () => cluster.FindingsAsync(jobId), Cancelled);

    private async Task<IReadOnlyList<MetricPoint>> PointsAsync(string jobId, string name)
    {
        using var call = cluster.Runs.StreamMetrics(
            new StreamMetricsRequest { JobId = jobId, Names = { name } }, cancellationToken: Cancelled);
        var points = new List<MetricPoint>();
        await foreach (var message in call.ResponseStream.ReadAllAsync(Cancelled))
            points.AddRange(message.Points);
        return points;
    }

    private static async Task<StatusCode> EndOfAsync(AsyncServerStreamingCall<WatchJobResponse> watch)
    {
        try
        {
            while (await watch.ResponseStream.MoveNext(Cancelled))
            {
            }

            return StatusCode.OK;
        }
        catch (RpcException end)
        {
            return end.StatusCode;
        }
    }

    private async Task<IReadOnlyList<(string Name, NodeState State, DateTime Registered)>> RegisteredAsync() =>
        [.. (await cluster.Nodes.ListNodesAsync(new ListNodesRequest(), cancellationToken: Cancelled)).Nodes
            .Select(node => (node.Name, node.State, node.RegisteredAt.ToDateTime()))];
}
