using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Tests.Fixtures;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>Starts become true together, and each is refused for itself alone.</summary>
public sealed class PlanCommitTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Conflict_OfOneStart_DropsThatOneAlone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 4);
        var jobs = new List<JobId>();
        for (var i = 0; i < 5; i++)
            jobs.Add(await cluster.SubmitAsync());
        await CommitAsync(cluster, Start(node, jobs[0], "cpu:0"));

        var opened = await CommitAsync(cluster, [
            Start(node, jobs[1], "cpu:1"), Start(node, jobs[2], "cpu:0"), Start(node, jobs[3], "cpu:2"), Start(node, jobs[4], "cpu:3")]);

        opened.ShouldBe([jobs[1], jobs[3], jobs[4]], ignoreOrder: true);
        (await cluster.GetAsync(jobs[2])).State.ShouldBe(JobState.Queued);
        var started = await cluster.GetAsync(jobs[3]);
        (started.State, started.Attempt, started.Reason).ShouldBe((JobState.Starting, 1, "attempt 1 on node-a (cpu:2)"));
        started.Placement.ShouldHaveSingleItem().Device.ShouldBe("cpu:2");
    }

    [Fact]
    public async Task Starts_AreOneTransaction()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var (first, second) = (await cluster.SubmitAsync(rankBytes: 7), await cluster.SubmitAsync());

        await CommitAsync(cluster, Start(node, first, "cpu:0"), Start(node, second, "cpu:1"));

        (await TestDatabase.QueryAsync<long>(cluster,
            "select count(distinct xmin::text) from (select xmin from jobs union all select xmin from device_grants) t")).ShouldBe(1);
        (await TestDatabase.QueryAsync<long>(cluster, "select sum(cpu_bytes)::bigint from device_grants")).ShouldBe(7);
    }

    [Fact]
    public async Task Job_ThatWaitsNoMore_DoesNotStart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var (cancelled, waiting) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await cluster.Job(cancelled).CancelAsync(new CancelJob("alice", ""));

        (await CommitAsync(cluster, Start(node, cancelled, "cpu:0"), Start(node, waiting, "cpu:1"))).ShouldBe([waiting]);

        (await cluster.GetAsync(cancelled)).State.ShouldBe(JobState.Cancelled);
    }

    /// <summary>The grain holds the job as it was; what it would write is refused, and it reads again.</summary>
    [Fact]
    public async Task Grain_ThatKnewTheJobBefore_FindsOut()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Job(job).TouchAsync(0);
        await CommitAsync(cluster, Start(node, job, "cpu:0"));

        await Should.ThrowAsync<StaleStateException>(() => cluster.Job(job).CancelAsync(new CancelJob("alice", "")));
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
    }

    [Fact]
    public async Task Report_OfAnAttemptThatTheGrainHasNotHeardOf_IsTaken()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Job(job).TouchAsync(0);
        await CommitAsync(cluster, Start(node, job, "cpu:0"));

        await cluster.Job(job).RankStartedAsync(1, 0);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
    }

    /// <summary>Nobody has the secret: whether an agent has heard of the attempt is not known, and heartbeats must tell.</summary>
    [Fact]
    public async Task Attempt_WhoseHandOverWasLost_IsGivenUpWhenItIsDue()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Job(job).TouchAsync(0);
        await CommitAsync(cluster, Start(node, job, "cpu:0"));
        cluster.Time.Advance(new JobOptions().RetryInterval);

        await cluster.PassAsync();
        await node.HeartbeatAsync();
        await node.HeartbeatAsync();
        cluster.Time.Advance(new JobOptions().RetryInterval);
        await cluster.PassAsync();

        var queued = await cluster.GetAsync(job);
        queued.State.ShouldBe(JobState.Queued);
        queued.Reason.ShouldContain("the scheduler restarted before the launch was confirmed");
    }

    private static async Task<IEnumerable<JobId>> CommitAsync(TestCluster cluster, params JobStart[] starts) =>
        (await cluster.Get<PlanCommit>().CommitAsync([.. starts], Token)).Select(opened => opened.Job);

    private static JobStart Start(TestNode node, JobId job, string device) =>
        new(job.Key(), [new PlannedRank(new NodeKey(node.Id.Value), node.Name, 1, device)]);
}
