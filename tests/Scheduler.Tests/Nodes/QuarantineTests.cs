using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>Nodes on which jobs fail again and again.</summary>
public sealed class QuarantineTests(PostgresServer postgres)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Node_OnWhichThreeJobsFailed_GetsNoNewOnes_AndKeepsWhatRuns()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (bad, good) = (await AddAsync(cluster, "node-a", devices: 2), await AddAsync(cluster, "node-b"));
        var running = await cluster.SubmitAsync(On(bad));
        await cluster.RunAsync(running);
        for (var i = 0; i < 2; i++)
            await FailAsync(cluster, bad);
        (await DrainAsync(cluster, bad)).ShouldBeNull();

        await FailAsync(cluster, bad);
        var (there, elsewhere) = (await cluster.SubmitAsync(On(bad)), await cluster.SubmitAsync());
        await cluster.ReconcileAsync();

        var drain = (await DrainAsync(cluster, bad)).ShouldNotBeNull();
        (drain.By, drain.Quarantined, drain.KeepRunning).ShouldBe(("the scheduler", true, true));
        drain.Reason.ShouldBe("3 different jobs failed there within 01:00:00 (Nodes:QuarantineAfter), "
            + "the last as rank 0 on node-a (cpu:1) was ended by signal 11 (segmentation fault)");
        (await cluster.GetAsync(there)).State.ShouldBe(JobState.Queued);
        (await cluster.GetAsync(elsewhere)).Placement.ShouldHaveSingleItem().NodeName.ShouldBe(good.Name);
        (await cluster.GetAsync(running)).State.ShouldBe(JobState.Running);
    }

    [Fact]
    public async Task Node_ThatAPersonResumes_BeginsAnew()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (bad, _) = (await AddAsync(cluster, "node-a"), await AddAsync(cluster, "node-b"));
        for (var i = 0; i < 3; i++)
            await FailAsync(cluster, bad);
        (await DrainAsync(cluster, bad)).ShouldNotBeNull();

        (await cluster.Get<NodeStore>().SetDrainAsync(bad.Id, null, Cancelled)).ShouldBeTrue();
        await FailAsync(cluster, bad);

        (await DrainAsync(cluster, bad)).ShouldBeNull();
    }

    [Fact]
    public async Task Failures_OfOneGroup_CountOnce_AndOldOnesNoMore()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (bad, _) = (await AddAsync(cluster, "node-a"), await AddAsync(cluster, "node-b"));
        var (quarantine, group) = (cluster.Get<Quarantine>(), Guid.NewGuid());
        for (var i = 0; i < 5; i++)
            await quarantine.NoteAsync(bad.Id.Value, group, "of one group", Cancelled);
        await quarantine.NoteAsync(bad.Id.Value, Guid.NewGuid(), "of another", Cancelled);
        (await DrainAsync(cluster, bad)).ShouldBeNull();

        cluster.Time.Advance(new NodeOptions().QuarantineWindow + TimeSpan.FromSeconds(1));
        for (var i = 0; i < 2; i++)
            await quarantine.NoteAsync(bad.Id.Value, Guid.NewGuid(), "later", Cancelled);
        (await DrainAsync(cluster, bad)).ShouldBeNull();
        await quarantine.NoteAsync(bad.Id.Value, Guid.NewGuid(), "the third", Cancelled);

        (await DrainAsync(cluster, bad)).ShouldNotBeNull();
    }

    /// <summary>What fails on all of them is no fault of theirs.</summary>
    [Fact]
    public async Task NoMoreThanAQuarterOfTheNodes_IsQuarantined_AndNeverTheLast()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var alone = await AddAsync(cluster, "node-0");
        await FailThriceAsync(alone);
        (await DrainAsync(cluster, alone)).ShouldBeNull("there is no other");
        var nodes = new List<TestNode> { alone };
        for (var i = 1; i < 8; i++)
            nodes.Add(await AddAsync(cluster, $"node-{i}"));

        foreach (var node in nodes)
            await FailThriceAsync(node);

        (await cluster.Get<NodeQueries>().ListAsync(Cancelled)).Count(node => node.Drain is not null).ShouldBe(2);

        async Task FailThriceAsync(TestNode node)
        {
            for (var i = 0; i < 3; i++)
                await cluster.Get<Quarantine>().NoteAsync(node.Id.Value, Guid.NewGuid(), "whatever", Cancelled);
        }
    }

    [Fact]
    public async Task QuarantineAfterZero_IsNever()
    {
        await using var cluster = await TestCluster.StartAsync(
            postgres, services => services.Configure<NodeOptions>(nodes => nodes.QuarantineAfter = 0));
        var (bad, _) = (await AddAsync(cluster, "node-a"), await AddAsync(cluster, "node-b"));

        for (var i = 0; i < 4; i++)
            await FailAsync(cluster, bad);

        (await DrainAsync(cluster, bad)).ShouldBeNull();
    }

    [Fact]
    public async Task Failures_ThatAreTheJobsOwn_DoNotCount()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (node, _) = (await AddAsync(cluster, "node-a"), await AddAsync(cluster, "node-b"));

        for (var i = 0; i < 4; i++)
        {
            var job = await cluster.SubmitAsync(On(node));
            await node.ExitAsync(job, await cluster.RunAsync(job), 0, TrainerExit.OutOfMemory);
        }

        (await DrainAsync(cluster, node)).ShouldBeNull();
    }

    private static Task<TestNode> AddAsync(TestCluster cluster, string name, int devices = 1) =>
        cluster.AddNodeAsync(name, devices, node => node.Labels = node.Labels.Add("only", name));

    private static JobSpecBuilder On(TestNode node) =>
        AJob().WithRestarts(0).With(spec => spec.Resources.NodeLabels.Add("only", node.Name));

    private static async Task FailAsync(TestCluster cluster, TestNode node)
    {
        var job = await cluster.SubmitAsync(On(node));
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 0, signal: 11);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Failed);
    }

    private static async Task<Drain?> DrainAsync(TestCluster cluster, TestNode node) =>
        (await cluster.Get<NodeQueries>().ListAsync(Cancelled)).Single(found => found.Name == node.Name).Drain;
}
