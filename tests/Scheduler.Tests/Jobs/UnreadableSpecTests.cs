using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Workspaces;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>A job whose row holds a spec that cannot be read: it fails, and nobody else is the worse for it.</summary>
public sealed class UnreadableSpecTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(@"'\xff'")]
    [InlineData(@"'\x'")]
    [InlineData(@"substring(spec for 40)")]
    [InlineData(@"convert_to('{""name"": ', 'UTF8')")]
    [InlineData(@"convert_to('{""seed"": ""many""}', 'UTF8')")]
    public async Task Job_ThatWouldBeStarted_FailsAndSaysSo_AndItsDeviceIsTheNextJobs(string spec)
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var (job, next) = (await cluster.SubmitAsync(AJob().WithPriority(1).With(s => s.Name = "lost")), await cluster.SubmitAsync());
        await DamageAsync(cluster, job, spec);

        await cluster.ReconcileAsync();
        await cluster.ReconcileAsync();

        var failed = await cluster.GetAsync(job);
        (failed.State, failed.Restarts, failed.Spec.Name).ShouldBe((JobState.Failed, 0, "lost"));
        failed.Reason.ShouldBe("what is stored of it cannot be read, so it cannot be started; submit it again");
        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued, JobState.Starting, JobState.Failed]);
        (await cluster.GetAsync(next)).State.ShouldBe(JobState.Starting);
        cluster.Agents.Launches.ShouldHaveSingleItem().Request.JobId.ShouldBe(next.ToString());
    }

    [Fact]
    public async Task Lists_HaveItAmongTheOthers()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var (job, other) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await DamageAsync(cluster, job);

        var jobs = (await cluster.Get<JobQueries>().ListAsync(new JobFilter([], "", 100, ""), Token)).Entries;
        var runs = (await cluster.Get<RunQueries>().ListAsync(new RunSearch("", "", 100, ""), Token)).Entries;

        jobs.Select(j => j.Id).ShouldBe([job.ToString(), other.ToString()], ignoreOrder: true);
        runs.Select(r => r.JobId).ShouldBe([job.ToString(), other.ToString()], ignoreOrder: true);
        jobs.Single(j => j.Id == other.ToString()).Spec.Model.Name.ShouldBe("lenet5");
    }

    [Fact]
    public async Task Job_ThatTrains_GoesOn_AndFailsInsteadOfARestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var (job, other) = (await cluster.SubmitAsync(AJob().WithPriority(1)), await cluster.SubmitAsync());
        var attempt = await cluster.RunAsync(job);
        await cluster.RunAsync(other);
        await DamageAsync(cluster, job);
        await cluster.DisposeAsync();
        // Nothing of the job is in memory.
        await using var later = await TestCluster.StartAsync(cluster.ConnectionString, cluster.Time, cluster.Agents);
        var there = node.ConnectedTo(later);
        there.Running.Add(new(job, attempt));
        there.Running.Add(new(other, 1));
        await there.RegisterAsync();
        await later.ReconcileAsync();
        (await later.GetAsync(job)).State.ShouldBe(JobState.Running);

        await there.ExitAsync(job, attempt, rank: 0, exitCode: 1);
        await later.ReconcileAsync();

        var failed = await later.GetAsync(job);
        failed.State.ShouldBe(JobState.Failed);
        failed.Reason.ShouldBe(
            "rank 0 on node-a (cpu:0) exited with code 1; what is stored of it cannot be read, so it cannot be started; submit it again");
        (await later.GetAsync(other)).State.ShouldBe(JobState.Running);
    }

    /// <summary>Due work of all jobs is taken up together.</summary>
    [Fact]
    public async Task Job_ThatWaitsForItsForecast_KeepsNoOtherFromBeingAskedFor()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var (job, other) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await TestDatabase.ExecuteAsync(cluster, "update job_queue set forecast_until = '2026-01-02', next_due_at = '-infinity'");
        await DamageAsync(cluster, job);

        await cluster.PassAsync();
        const string Unknown = "select count(*) from job_queue where forecast_until is not null";
        await Eventually.HoldsAsync(async () => await TestDatabase.QueryAsync<long>(cluster, Unknown) == 0);
        await cluster.ReconcileAsync();

        cluster.Agents.Descriptions.ShouldHaveSingleItem().Queries.ShouldHaveSingleItem().Model.Name.ShouldBe("lenet5");
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Failed);
        (await cluster.GetAsync(other)).State.ShouldBe(JobState.Starting);
    }

    private static Task DamageAsync(TestCluster cluster, JobId job, string spec = @"'\xff'") =>
        TestDatabase.ExecuteAsync(cluster, $"update jobs set spec = {spec} where id = '{job}'");
}
