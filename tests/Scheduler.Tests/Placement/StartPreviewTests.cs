using Cluster.Contracts.V1;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>Where a job would start that nobody has submitted.</summary>
public sealed class StartPreviewTests(PostgresServer postgres)
{
    [Fact]
    public async Task Preview_WhereThereIsRoom_NamesTheDevices_AndKeepsNone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a", devices: 2);
        await cluster.AddNodeAsync("node-b", devices: 2);

        var start = await PreviewAsync(cluster, AJob().WithDevices(4));
        var job = await cluster.SubmitAsync(AJob().WithDevices(4));
        await cluster.ReconcileAsync();

        start.Placement.Select(rank => (rank.Rank, rank.NodeName, rank.Device)).ShouldBe(
            [(0, "node-a", "cpu:0"), (1, "node-a", "cpu:1"), (2, "node-b", "cpu:0"), (3, "node-b", "cpu:1")], ignoreOrder: true);
        start.Reason.ShouldBeEmpty();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        (await TestDatabase.CountAsync(cluster, "jobs")).ShouldBe(1);
    }

    [Fact]
    public async Task Preview_WhereOthersHoldTheDevices_SaysWhyItWouldWait()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        await cluster.RunAsync(await cluster.SubmitAsync());

        var start = await PreviewAsync(cluster, AJob());

        start.Placement.ShouldBeEmpty();
        start.ReasonCode.ShouldBe("waiting_for_devices");
        start.Reason.ShouldContain("the one that it could use is not free");
    }

    /// <summary>As if it came after all that wait.</summary>
    [Fact]
    public async Task Preview_TakesNothingThatOthersWaitFor()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync("node-a", devices: 2);
        await cluster.RunAsync(await cluster.SubmitAsync());
        var gang = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.ReconcileAsync();
        cluster.Time.Advance(TimeSpan.FromMilliseconds(1));

        var (behind, before) = (await PreviewAsync(cluster, AJob()), await PreviewAsync(cluster, AJob().WithPriority(5)));

        behind.ReasonCode.ShouldBe("waiting_for_turn");
        before.Placement.ShouldHaveSingleItem().NodeName.ShouldBe("node-a");
        (await cluster.GetAsync(gang)).State.ShouldBe(JobState.Queued);
    }

    /// <summary>Each is reckoned on another thread, while others ask and cycles go on: none sees another's job.</summary>
    [Fact]
    public async Task Preview_OfManyAtOnce_AnswersEachAsIfAlone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        await cluster.RunAsync(await cluster.SubmitAsync());
        var one = await PreviewAsync(cluster, AJob().WithDevices(2));

        var asking = Enumerable.Range(0, 8).Select(_ => PreviewAsync(cluster, AJob().WithDevices(2))).ToList();
        await cluster.ReconcileAsync();
        var answers = await Task.WhenAll(asking);

        one.ReasonCode.ShouldBe("waiting_for_devices");
        answers.ShouldAllBe(answer => answer.Reason == one.Reason && answer.Position == one.Position);
        (await PreviewAsync(cluster, AJob())).Placement.ShouldHaveSingleItem("the free device is free still");
    }

    private static async Task<StartPreview> PreviewAsync(TestCluster cluster, JobSpecBuilder job)
    {
        var order = PreviewOrder.For(new Job { Spec = job.Build(), Owner = "alice" });
        return (await cluster.Grains.GetGrain<IPlacementGrain>(0).PreviewAsync(order)).Read();
    }
}
