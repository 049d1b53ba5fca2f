using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Reconciliation;

/// <summary>What is done by the clock alone, when every signal is lost.</summary>
public sealed class DueWorkTests(PostgresServer postgres)
{
    private static readonly JobOptions Options = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Claim_IsOneSchedulersAlone_AndComesDueAgainWhenItsTermIsOver()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await using var other = await TestCluster.StartAsync(
            cluster.ConnectionString, cluster.Time, cluster.Agents, TestCluster.ClusteredApart);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Grains.GetGrain<IPlacementGrain>(0).RunCycleAsync();
        (await ClaimAsync(other)).ShouldBeEmpty("it was started just now");
        cluster.Time.Advance(Options.RetryInterval);

        var claims = await Task.WhenAll(ClaimAsync(cluster), ClaimAsync(other), ClaimAsync(cluster), ClaimAsync(other));

        claims.SelectMany(claim => claim).ShouldBe([job]);
        cluster.Time.Advance(Options.ClaimTerm - TimeSpan.FromSeconds(1));
        (await ClaimAsync(other)).ShouldBeEmpty();
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        (await ClaimAsync(other)).ShouldBe([job]);
    }

    [Fact]
    public async Task Start_WhoseSignalIsLost_IsLaunchedWhenItIsDue()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Grains.GetGrain<IPlacementGrain>(0).RunCycleAsync();

        (await cluster.PassAsync()).ShouldBe(cluster.Time.GetUtcNow() + Options.RetryInterval);
        cluster.Agents.Launches.ShouldBeEmpty();
        cluster.Time.Advance(Options.RetryInterval);
        var next = await cluster.PassAsync();

        cluster.Agents.Launches.ShouldHaveSingleItem().Request.JobId.ShouldBe(job.ToString());
        next.ShouldNotBeNull();
        // Nothing is to be done now but to give up on a rank that never says anything.
        (await cluster.PassAsync()).ShouldBe((await cluster.GetAsync(job)).CreatedAt.ToDateTimeOffset() + Options.StartDeadline);
    }

    [Fact]
    public async Task RunningJob_IsNeverDue()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        await cluster.RunAsync(await cluster.SubmitAsync());

        (await cluster.PassAsync()).ShouldBeNull();
        cluster.Time.Advance(TimeSpan.FromDays(1));
        (await ClaimAsync(cluster)).ShouldBeEmpty();
    }

    [Fact]
    public async Task RankThatGivesSigns_PutsTheDeadlineOff()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();
        cluster.Time.Advance(TimeSpan.FromMinutes(3));
        await cluster.Job(job).RankLivesAsync(1, 0);
        var sign = cluster.Time.GetUtcNow();
        cluster.Time.Advance(Options.StartDeadline - TimeSpan.FromMinutes(3));

        await cluster.PassAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        (await cluster.PassAsync()).ShouldBe(sign + Options.StartDeadline);
    }

    [Fact]
    public async Task LostNode_MakesItsJobsDue_ThoughNobodyTellsThem()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a");
        await cluster.AddNodeAsync("node-b");
        var jobs = new[] { await cluster.SubmitAsync(), await cluster.SubmitAsync() };
        await cluster.RunAsync(jobs[0]);
        await cluster.RunAsync(jobs[1]);
        var lost = (await cluster.GetAsync(jobs[0])).Placement.ShouldHaveSingleItem().NodeId;

        await TestDatabase.ExecuteAsync(
            cluster, $"update nodes set state = 'Lost', epoch = epoch + 1, lost_at = now() where id = '{lost}'");
        await cluster.PassAsync();

        (await cluster.GetAsync(jobs[0])).State.ShouldBe(JobState.Queued);
        (await cluster.GetAsync(jobs[1])).State.ShouldBe(JobState.Running);
    }

    [Fact]
    public async Task PauseAfterAFailure_IsDueAtItsEnd()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts.InitialBackoff = new() { Seconds = 7 }));
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1);

        (await cluster.PassAsync()).ShouldBe(cluster.Time.GetUtcNow() + TimeSpan.FromSeconds(7));
        cluster.Time.Advance(TimeSpan.FromSeconds(7));
        await cluster.PassAsync();

        (await cluster.GetAsync(job)).Attempt.ShouldBe(2);
    }

    [Fact]
    public async Task Stop_ThatNoAgentTook_IsTriedAgain()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        cluster.Agents.OnStop = (_, _) => Task.FromResult(false);
        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        await cluster.PassAsync();
        cluster.Agents.Stops.Count.ShouldBe(1);
        cluster.Time.Advance(Options.RetryInterval);

        await cluster.PassAsync();

        cluster.Agents.Stops.Count.ShouldBe(2);
    }

    [Fact]
    public async Task JobThatIsOver_HasNothingDue()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, TrainerExit.Done);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Succeeded);
        (await TestDatabase.CountAsync(cluster, "job_queue")).ShouldBe(0);
    }

    private static async Task<IEnumerable<JobId>> ClaimAsync(TestCluster cluster) =>
        (await cluster.Get<DueWork>().ClaimAsync(cluster.Time.GetUtcNow(), Token)).Jobs.Select(due => due.Job);
}
