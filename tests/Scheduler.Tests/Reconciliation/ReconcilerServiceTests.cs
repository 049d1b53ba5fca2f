using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Reconciliation;

/// <summary>The loop itself, which the other tests replace by their own hand.</summary>
public sealed class ReconcilerServiceTests(PostgresServer postgres)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task SubmittedJob_IsLaunchedWithoutAnyTimePassing()
    {
        var launched = new TaskCompletionSource<LaunchRequest>();
        await using var cluster = await StartAsync(postgres, launched);
        await cluster.AddNodeAsync();

        var job = await cluster.SubmitAsync();

        (await launched.Task.WaitAsync(Patience, TestContext.Current.CancellationToken)).JobId.ShouldBe(job.ToString());
    }

    [Fact]
    public async Task Backoff_ThatPasses_IsNoticedByThePeriodicPass()
    {
        var launched = new TaskCompletionSource<LaunchRequest>();
        await using var cluster = await StartAsync(postgres, launched, attempt: 2);
        var node = await cluster.AddNodeAsync();
        using var changes = cluster.Get<JobFeed>().SubscribeToAll(JobChange.State);
        var job = await cluster.SubmitAsync();
        await UntilAsync(() => cluster.Agents.Launches.Count == 1);
        await node.ExitAsync(job, 1, 0, exitCode: 1);

        // Only the clock moves from here on.
        while (!launched.Task.IsCompleted)
        {
            cluster.Time.Advance(TimeSpan.FromSeconds(1));
            await node.HeartbeatAsync();
        }

        (await launched.Task).Attempt.ShouldBe(2);

        async Task UntilAsync(Func<bool> condition)
        {
            while (!condition())
                await changes.WaitAsync(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken)
                    .WaitAsync(Patience, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>An agent that does not answer holds up its own job, and nobody else.</summary>
    [Fact]
    public async Task SlowAgent_HoldsUpNoOtherJob()
    {
        var launched = new TaskCompletionSource<LaunchRequest>();
        var (reached, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var cluster = await StartAsync(postgres, launched, host: "fast", slow: () =>
        {
            reached.SetResult();
            return release.Task;
        });
        await cluster.AddNodeAsync("slow");
        var stuck = await cluster.SubmitAsync();
        await reached.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);

        await cluster.AddNodeAsync("fast");
        var job = await cluster.SubmitAsync();

        (await launched.Task.WaitAsync(Patience, TestContext.Current.CancellationToken)).JobId.ShouldBe(job.ToString());
        (await cluster.GetAsync(stuck)).State.ShouldBe(JobState.Starting);
        release.SetResult();
    }

    private static async Task<TestCluster> StartAsync(
        PostgresServer postgres, TaskCompletionSource<LaunchRequest> launched, int attempt = 1, string? host = null,
        Func<Task>? slow = null)
    {
        var agents = new FakeAgents
        {
            OnLaunch = async (agent, request) =>
            {
                if (slow is not null && agent.Address.Host != host)
                    await slow();
                else if (request.Attempt == attempt)
                    launched.TrySetResult(request);
                return new LaunchResult(LaunchStatus.Launched, "");
            },
        };
        return await TestCluster.StartAsync(
            await postgres.CreateDatabaseAsync(TestContext.Current.CancellationToken), new FakeTimeProvider(), agents,
            services => services.AddHostedService<ReconcilerService>());
    }
}
