using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>Ranks that are slow for long: told, and moved away from where the job says so.</summary>
public sealed class StragglerTests(PostgresServer postgres)
{
    private const string Slow = "rank 1 on node-b (cpu:0) is slow: a step takes it 0.420 s without its waits, and the others 0.210 s";

    private static readonly SlowRank[] SlowRank1 = [new() { Rank = 1, StepSeconds = 0.42, OthersSeconds = 0.21 }];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static JobSpecBuilder AJobOnTwoNodes => AJob().WithDevices(2).With(spec => spec.Resources.MaxDevicesPerNode = 1);

    [Fact]
    public async Task SlowRank_IsNamedInTheJobsState_UntilItKeepsUp()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await AddNodesAsync(cluster, "node-a", "node-b");
        var job = await cluster.SubmitAsync(AJobOnTwoNodes);
        await cluster.RunAsync(job, ranks: 2);

        await ReportAsync(cluster, job, sequence: 2, SlowRank1);
        var slow = await cluster.GetAsync(job);
        await ReportAsync(cluster, job, sequence: 3);
        var again = await cluster.GetAsync(job);

        (slow.State, slow.ReasonCode).ShouldBe((JobState.Running, "straggler"));
        slow.Reason.ShouldBe($"attempt 1: all 2 ranks train; {Slow}");
        (again.State, again.Reason, again.ReasonCode).ShouldBe((JobState.Running, "attempt 1: all 2 ranks train", ""));
        cluster.Agents.Stops.ShouldBeEmpty();
    }

    /// <summary>A step that hangs is the more urgent; once it goes on the rank is slow as before.</summary>
    [Fact]
    public async Task SlowRank_GivesWayToAStepThatHangs_AndIsNamedAgainAfterwards()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await AddNodesAsync(cluster, "node-a", "node-b");
        var job = await cluster.SubmitAsync(AJobOnTwoNodes);
        await cluster.RunAsync(job, ranks: 2);
        await ReportAsync(cluster, job, sequence: 2, SlowRank1);

        await StallAsync(cluster, job, sequence: 3, step: 7);
        (await cluster.GetAsync(job)).ReasonCode.ShouldBe("hung");
        await StallAsync(cluster, job, sequence: 4, step: 0);

        (await cluster.GetAsync(job)).ReasonCode.ShouldBe("straggler");
    }

    [Fact]
    public async Task SlowRank_IsMovedAwayFrom_WhereTheJobSaysSo_AndThatIsNoRestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var nodes = await AddNodesAsync(cluster, "node-a", "node-b", "node-c");
        var job = await cluster.SubmitAsync(AJobOnTwoNodes.WithRestarts(0).With(spec => spec.Restarts.MoveStragglers = true));
        await cluster.RunAsync(job, ranks: 2);

        await ReportAsync(cluster, job, sequence: 2, SlowRank1);
        await cluster.PassAsync();
        var moving = await cluster.GetAsync(job);
        (moving.State, moving.Reason).ShouldBe((JobState.Stopping, $"moves away: {Slow}"));
        cluster.Agents.Stops.Select(stop => stop.Request.Grace.ToTimeSpan()).Distinct().ShouldBe([new JobOptions().CancelGrace]);
        for (var rank = 0; rank < 2; rank++)
            await nodes[rank].ExitAsync(job, 1, rank, TrainerExit.Stopped);
        await cluster.RunAsync(job, ranks: 2);

        var moved = await cluster.GetAsync(job);
        (moved.Attempt, moved.Restarts).ShouldBe((2, 0));
        moved.Placement.Select(place => place.NodeName).ShouldBe(["node-a", "node-c"], ignoreOrder: true);
    }

    [Fact]
    public async Task SlowRanks_OfAnAttemptThatIsOver_AreOfNoAccount()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await AddNodesAsync(cluster, "node-a", "node-b");
        var job = await cluster.SubmitAsync(AJobOnTwoNodes);
        await cluster.RunAsync(job, ranks: 2);

        await cluster.Job(job).RanksLagAsync(7, [new RankLag(1, 0.42, 0.21)]);
        await cluster.Job(job).RanksLagAsync(1, [new RankLag(2, 0.42, 0.21)]);

        (await cluster.GetAsync(job)).ReasonCode.ShouldBe("");
    }

    private static async Task<List<TestNode>> AddNodesAsync(TestCluster cluster, params string[] names)
    {
        var nodes = new List<TestNode>();
        foreach (var name in names)
            nodes.Add(await cluster.AddNodeAsync(name));
        return nodes;
    }

    private static Task ReportAsync(TestCluster cluster, JobId job, long sequence, params SlowRank[] slow) =>
        cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1), new ReportRequest { Sequence = sequence, Paces = new RankPaces { Slow = { slow } } }, Token);

    private static Task StallAsync(TestCluster cluster, JobId job, long sequence, long step) =>
        cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1), new ReportRequest { Sequence = sequence, Stall = new StepStall { Step = step } }, Token);
}
