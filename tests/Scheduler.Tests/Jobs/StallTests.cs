using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>Steps that hang: told while they do.</summary>
public sealed class StallTests(PostgresServer postgres)
{
    private const string AllReduce = "an all-reduce of 40 bytes 'gradients/3'";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stall_IsTold_WithTheRankThatIsWaitedFor_UntilItIsOver()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 3);
        var job = await cluster.SubmitAsync(AJob().WithDevices(3));
        await cluster.RunAsync(job, ranks: 3);

        await StallAsync(cluster, job, rank: 0, sequence: 2, step: 41, AllReduce);
        await StallAsync(cluster, job, rank: 2, sequence: 2, step: 41, AllReduce);
        var silent = await cluster.GetAsync(job);
        await StallAsync(cluster, job, rank: 1, sequence: 2, step: 41, "");
        var busy = await cluster.GetAsync(job);
        await StallAsync(cluster, job, rank: 1, sequence: 3, step: 41, "a barrier 'other'");
        var apart = await cluster.GetAsync(job);
        for (var rank = 0; rank < 3; rank++)
            await StallAsync(cluster, job, rank, sequence: 4, step: 0, "");

        (silent.State, silent.ReasonCode).ShouldBe((JobState.Running, "hung"));
        const string waiting = $"2 ranks, from rank 0, wait in {AllReduce}";
        silent.Reason.ShouldBe($"step 41 hangs: rank 1 on node-a (cpu:1) says nothing; {waiting}");
        busy.Reason.ShouldBe($"step 41 hangs: rank 1 on node-a (cpu:1) is in no exchange; {waiting}");
        apart.Reason.ShouldBe($"step 41 hangs: {waiting}; rank 1 waits in a barrier 'other'");
        var over = await cluster.GetAsync(job);
        (over.State, over.Reason, over.ReasonCode).ShouldBe((JobState.Running, "attempt 1: all 3 ranks train", ""));
    }

    [Fact]
    public async Task Stall_ThatLastsTooLong_EndsTheAttempt_AndTheJobStartsAgain()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var limit = new JobOptions().HangLimit;
        await StallAsync(cluster, job, rank: 0, sequence: 2, step: 7, "");

        cluster.Time.Advance(limit - TimeSpan.FromSeconds(1));
        await StallAsync(cluster, job, rank: 0, sequence: 3, step: 7, "");
        (await cluster.PassAsync()).ShouldBe(cluster.Time.GetUtcNow() + TimeSpan.FromSeconds(1));
        cluster.Agents.Stops.ShouldBeEmpty();
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        await cluster.PassAsync();

        var reason = $"step 7 hangs: rank 0 on node-a (cpu:0) is in no exchange, for {limit:c}";
        cluster.Agents.Stops.ShouldHaveSingleItem().Request.Reason.ShouldBe(reason);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        var queued = await cluster.GetAsync(job);
        (queued.State, queued.Restarts).ShouldBe((JobState.Queued, 1));
        queued.Reason.ShouldContain(reason);
    }

    [Fact]
    public async Task Stall_ThatIsOverInTime_EndsNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        await StallAsync(cluster, job, rank: 0, sequence: 2, step: 7, "");
        await StallAsync(cluster, job, rank: 0, sequence: 3, step: 0, "");

        cluster.Time.Advance(new JobOptions().HangLimit);
        await cluster.PassAsync();

        cluster.Agents.Stops.ShouldBeEmpty();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
    }

    /// <summary>A rank that hangs says so again.</summary>
    [Fact]
    public async Task Stall_ThatASchedulerHasForgotten_IsOverAllTheSameOnceTheRankSaysSo()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        await first.AddNodeAsync();
        var job = await first.SubmitAsync();
        await first.RunAsync(job);
        await StallAsync(first, job, rank: 0, sequence: 2, step: 7, "");
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        (await second.GetAsync(job)).ReasonCode.ShouldBe("hung");
        await StallAsync(second, job, rank: 0, sequence: 3, step: 0, "");

        (await second.GetAsync(job)).Reason.ShouldBe("attempt 1: training");
    }

    private static Task StallAsync(TestCluster cluster, JobId job, int rank, long sequence, long step, string operation) =>
        cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1, rank),
            new ReportRequest { Sequence = sequence, Stall = new StepStall { Step = step, Operation = operation } }, Token);
}
