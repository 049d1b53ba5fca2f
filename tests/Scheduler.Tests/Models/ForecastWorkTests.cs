using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Models;

/// <summary>Jobs that wait to be told what memory they will take.</summary>
public sealed class ForecastWorkTests(PostgresServer postgres)
{
    private const long Gib = 1L << 30;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Job_WaitsForItsForecast_AndIsPlacedByIt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var answer = new TaskCompletionSource();
        cluster.Agents.OnDescribe = async (_, request) =>
        {
            await answer.Task;
            return Answer(request, Gib);
        };

        var job = await SubmitAsync(cluster);
        await cluster.ReconcileAsync();

        var waiting = await cluster.GetAsync(job);
        (waiting.State, waiting.ReasonCode, waiting.Queue).ShouldBe((JobState.Queued, "waiting_for_forecast", null));
        waiting.Reason.ShouldBe("waits to hear from a node what memory it will take");
        answer.SetResult();
        await IsSettledAsync(cluster, job);
        await cluster.ReconcileAsync();
        var started = await cluster.GetAsync(job);
        started.State.ShouldBe(JobState.Starting);
        started.Memory.Total.ShouldBeGreaterThan(Gib);
        (await TestDatabase.QueryAsync<long>(cluster, "select cpu_bytes from device_grants")).ShouldBe(started.Memory.Total);
    }

    [Fact]
    public async Task Job_WhoseForecastDoesNotCome_IsPlacedWithout()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var release = new TaskCompletionSource();
        cluster.Agents.OnDescribe = async (_, request) =>
        {
            await release.Task;
            return Answer(request, Gib);
        };
        var job = await SubmitAsync(cluster);
        await Eventually.HoldsAsync(() => cluster.Agents.Descriptions.Count == 1);

        // The wait for an answer may begin after this, with what is left of its patience.
        await Eventually.HoldsAsync(async () =>
        {
            cluster.Time.Advance(Patience);
            return (await cluster.GetAsync(job)).ReasonCode != "waiting_for_forecast";
        });
        await TestDatabase.ExecuteAsync(cluster, $"update node_leases set expires_at = '2100-01-01'");
        await cluster.ReconcileAsync();

        var started = await cluster.GetAsync(job);
        (started.State, started.Memory).ShouldBe((JobState.Starting, null));
        release.SetResult();
    }

    /// <summary>Right after a start: of the cluster, where no node is known, or of the scheduler, with which none has registered.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Job_ThatIsThereBeforeAnyAgent_AsksTheFirstThatRegisters(bool isKnown)
    {
        await using var before = await TestCluster.StartAsync(postgres);
        var node = new TestNode(before, "node-a", devices: 2);
        if (isKnown)
            await node.RegisterAsync();
        await before.DisposeAsync();
        await using var cluster = await TestCluster.StartAsync(before.ConnectionString, before.Time, before.Agents);
        cluster.Agents.OnDescribe = (_, request) => Task.FromResult(Answer(request, Gib));
        var submission = ASubmission(cluster) with { WaitForCapacity = true };
        await cluster.SubmitAsync(submission);
        // It has asked, and heard that there is nobody.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(1));
        await cluster.Get<MemoryForecast>().AskAsync(submission.Spec, Patience, limit.Token);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(submission.Id)).ReasonCode.ShouldBe("waiting_for_forecast");

        await node.ConnectedTo(cluster).RegisterAsync();
        await IsSettledAsync(cluster, submission.Id);
        await cluster.ReconcileAsync();

        var started = await cluster.GetAsync(submission.Id);
        (started.State, started.Memory?.Total > Gib).ShouldBe((JobState.Starting, true));
    }

    [Fact]
    public async Task Job_WhomNoAgentComesToAnswer_IsSettledWithout_WhenItsPatienceIsOver()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var submission = ASubmission(cluster) with { WaitForCapacity = true };
        await cluster.SubmitAsync(submission);

        // The wait may begin after this, with what is left of its patience.
        await Eventually.HoldsAsync(async () =>
        {
            cluster.Time.Advance(Patience);
            return (await cluster.GetAsync(submission.Id)).ReasonCode != "waiting_for_forecast";
        });

        var waiting = await cluster.GetAsync(submission.Id);
        (waiting.State, waiting.Memory).ShouldBe((JobState.Queued, null));
    }

    [Fact]
    public async Task Forecast_ThatASchedulerDidNotLiveToGet_IsAskedForByTheNext()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync(devices: 2);
        var submission = ASubmission(first);
        // Stored, and nothing else.
        await first.Get<SubmissionGroups>().StoreAsync(new Submission([submission], null));
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        second.Agents.OnDescribe = (_, request) => Task.FromResult(Answer(request, Gib));
        await node.ConnectedTo(second).RegisterAsync();
        await second.ReconcileAsync();
        (await second.GetAsync(submission.Id)).ReasonCode.ShouldBe("waiting_for_forecast", "the first may still be at it");
        second.Time.Advance(new JobOptions().ClaimTerm - TimeSpan.FromSeconds(1));
        await node.ConnectedTo(second).HeartbeatAsync();
        second.Time.Advance(TimeSpan.FromSeconds(1));
        await second.PassAsync();
        await IsSettledAsync(second, submission.Id);
        await second.ReconcileAsync();

        var started = await second.GetAsync(submission.Id);
        started.State.ShouldBe(JobState.Starting);
        started.Memory.Total.ShouldBeGreaterThan(Gib);
    }

    [Fact]
    public async Task Job_ThatIsCancelledBefore_NeedsNoForecast()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var answer = new TaskCompletionSource();
        cluster.Agents.OnDescribe = async (_, request) =>
        {
            await answer.Task;
            return Answer(request, Gib);
        };
        var (cancelled, other) = (await SubmitAsync(cluster), await SubmitAsync(cluster));

        await cluster.Job(cancelled).CancelAsync(new CancelJob("alice", ""));
        answer.SetResult();
        await IsSettledAsync(cluster, other);

        var job = await cluster.GetAsync(cancelled);
        (job.State, job.Memory).ShouldBe((JobState.Cancelled, null));
    }

    private static async Task<JobId> SubmitAsync(TestCluster cluster)
    {
        var submission = ASubmission(cluster);
        await cluster.SubmitAsync(submission);
        return submission.Id;
    }

    private static JobSubmission ASubmission(TestCluster cluster)
    {
        var now = cluster.Time.GetUtcNow();
        var submission = JobSubmission.Of("alice", Guid.NewGuid().ToString(), AJob().Build(), waitForCapacity: false, now);
        return submission with { ForecastUntil = now + Patience };
    }

    private static Task IsSettledAsync(TestCluster cluster, JobId job) =>
        Eventually.HoldsAsync(async () => (await cluster.GetAsync(job)).ReasonCode != "waiting_for_forecast");

    private static DescribeResult Answer(DescribeModelsRequest request, long bytes) => DescribeResult.Of(new DescribeModelsResponse
    {
        Answers =
        {
            request.Queries.Select(_ => new ModelAnswer
            {
                Description = new ModelDescription { Memory = new MemoryEstimate { Total = bytes } },
            }),
        },
    });
}
