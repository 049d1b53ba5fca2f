using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Telemetry;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

public sealed class LaunchTests(PostgresServer postgres)
{
    [Fact]
    public async Task Launch_TellsEachNodeItsRanks()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a", devices: 2);
        await cluster.AddNodeAsync("node-b", devices: 1);
        var spec = AJob().WithDevices(3);

        var job = await cluster.SubmitAsync(spec);
        await cluster.ReconcileAsync();

        var launches = cluster.Agents.Launches.OrderBy(l => l.Agent.Host).ToList();
        launches.Select(l => l.Agent.Host).ShouldBe(["node-a", "node-b"]);
        launches[0].Request.Ranks.Select(r => (r.Rank, r.LocalRank, r.Device)).ShouldBe([(0, 0, "cpu:0"), (1, 1, "cpu:1")]);
        launches[1].Request.Ranks.Select(r => (r.Rank, r.LocalRank, r.Device)).ShouldBe([(2, 0, "cpu:0")]);
        launches.ShouldAllBe(l => l.Request.WorldSize == 3 && l.Request.Attempt == 1 && l.Request.JobId == job.ToString());
        launches.Select(l => l.Request.AttemptSecret).Distinct().ShouldHaveSingleItem().Length.ShouldBe(64);
        launches[0].Request.Spec.ShouldBe(spec.Build());
        launches[0].Request.ResumeCheckpointId.ShouldBe("");
    }

    [Fact]
    public async Task Secret_IsNowhereInTheDatabase()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();
        var secret = cluster.Agents.SecretOf(job.ToString(), 1);

        var rows = await cluster.Get<ClusterDatabase>().RunAsync(async (connection, token) =>
        {
            await using var command = new Npgsql.NpgsqlCommand(
                "select string_agg(a::text, '') || (select string_agg(n::text, '') from nodes n) from attempts a", connection);
            return (string)(await command.ExecuteScalarAsync(token))!;
        }, TestContext.Current.CancellationToken);

        rows.ShouldNotContain(secret);
        rows.ShouldNotContain("agent secret");
    }

    [Fact]
    public async Task RefusedLaunch_StopsWhatStarted_AndQueuesAgainWithoutARestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var a = await cluster.AddNodeAsync("node-a");
        await cluster.AddNodeAsync("node-b");
        cluster.Agents.OnLaunch = (agent, _) => Task.FromResult(agent.Address.Host == "node-b"
            ? new LaunchResult(LaunchStatus.Refused, "ResourceExhausted: cpu:0 is in use")
            : new LaunchResult(LaunchStatus.Launched, ""));
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));

        await cluster.ReconcileAsync();

        cluster.Agents.Stops.ShouldHaveSingleItem().Agent.ShouldBe(a.Address);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        await a.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        var queued = await cluster.GetAsync(job);
        queued.State.ShouldBe(JobState.Queued);
        queued.Restarts.ShouldBe(0);
        queued.Reason.ShouldBe(
            "waits until 00:00:05 UTC after a failure: the launch on node-b failed: ResourceExhausted: cpu:0 is in use");
    }

    [Fact]
    public async Task LaunchWithoutAnAnswer_HoldsTheDeviceUntilHeartbeatsProveItFree()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        cluster.Agents.OnLaunch = (_, _) => Task.FromResult(new LaunchResult(LaunchStatus.Unknown, "DeadlineExceeded"));
        var job = await cluster.SubmitAsync();

        await cluster.ReconcileAsync();
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);
        cluster.Agents.Launches.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Launch_IsTracedUnderTheSubmission()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == SchedulerTelemetry.Name,
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        const string TraceId = "0af7651916cd43dd8448eb211c80319c";
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var traced = JobSubmission.Of("alice", "traced", AJob().Build(), waitForCapacity: false, cluster.Time.GetUtcNow());
        await cluster.SubmitAsync(traced with { TraceParent = $"00-{TraceId}-b7ad6b7169203331-01", TraceState = "vendor=1" });

        await cluster.ReconcileAsync();

        var launch = cluster.Agents.Launches.ShouldHaveSingleItem().Request;
        launch.Traceparent.ShouldStartWith($"00-{TraceId}-");
        launch.Traceparent.ShouldNotContain("b7ad6b7169203331", Case.Sensitive, "the launch is a span of its own");
        launch.Tracestate.ShouldBe("vendor=1");
    }

    [Fact]
    public async Task StaleVersion_IsRefused_AndTheRetryWorksOnWhatIsThere()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await using var other = await TestCluster.StartAsync(
            cluster.ConnectionString, cluster.Time, cluster.Agents, TestCluster.ClusteredApart);
        // Both hold the job in memory; then one of them moves it.
        await cluster.Job(job).TouchAsync(0);
        await other.Job(job).TouchAsync(0);
        await other.Job(job).CancelAsync(new CancelJob("bob", ""));

        await Should.ThrowAsync<StaleStateException>(() => cluster.Job(job).CancelAsync(new CancelJob("carol", "")));
        await cluster.Job(job).CancelAsync(new CancelJob("carol", ""));

        (await cluster.GetAsync(job)).Reason.ShouldBe("cancelled by bob");
        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued, JobState.Cancelled]);
    }
}
