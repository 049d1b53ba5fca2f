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

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>On a fast machine the job ends within one of the pauses, which is as good a moment as any.</summary>
    [Fact]
    public async Task PausesOfSchedulerStoreAndAgent_CostNoNodeAndNoRestart()
    {
        var scheduler = cluster.ProcessId("scheduler");
        var registered = await RegisteredAsync();
        var job = await cluster.SubmitAsync(JobFiles.LeNet("paused", epochs: 150), Cancelled);
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
