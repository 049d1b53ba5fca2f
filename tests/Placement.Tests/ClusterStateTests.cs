namespace Cluster.Placement.Tests;

public sealed class ClusterStateTests
{
    /// <summary>A store refuses a second holder, but the end of the first may be told after the beginning of the second.</summary>
    [Fact]
    public void Apply_OfANewHolderBeforeTheOldOnesEnd_LeavesTheDeviceToTheNewOne()
    {
        var node = ClusterBuilder.ANode("a", free: 2, bytes: 10).Node;
        var (before, after) = (Granted(3), Granted(5));
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(node));
        foreach (var change in new ClusterChange[] { before, after, new ClusterChange.JobEnded(before.Job) })
            state.Apply(change);

        var fresh = new ClusterState();
        fresh.Apply(new ClusterChange.NodeChanged(node));
        fresh.Apply(after);
        state.Describe().ShouldBe(fresh.Describe());

        ClusterChange.JobGranted Granted(long bytes) =>
            new(new JobKey(Guid.NewGuid()), new RankMemory(bytes, 0), [new GrantedDevice(node.Id, "cpu:0")]);
    }

    [Fact]
    public void ShapeOf_AJobThatWaits_IsWithWhomItWaits()
    {
        var job = ClusterBuilder.AJob(2);
        var state = ClusterBuilder.StateOf([], [job]);

        state.ShapeOf(job.Id).ShouldBe((QueueKey.Default, job.Need.Shape()));
        state.Apply(new ClusterChange.JobEnded(job.Id));
        state.ShapeOf(job.Id).ShouldBeNull();
    }

    /// <summary>Texts of which one could be read as two would make jobs wait for what another needs.</summary>
    [Fact]
    public void Shapes_OfDifferentNeeds_Differ()
    {
        var one = ClusterBuilder.AJob(1, labels: new() { ["a"] = "1,b=2" }).Need;
        var two = ClusterBuilder.AJob(1, labels: new() { ["a"] = "1", ["b"] = "2" }).Need;
        DeviceNeed[] needs =
        [
            one, two, one with { Devices = 2 }, one with { Only = null }, one with { MaxPerNode = 1 }, one with { DataSet = "" },
            one with { Memory = new RankMemory(1, 0) }, one with { Memory = new RankMemory(0, 1) },
        ];

        needs.Select(need => need.Shape()).ShouldBeUnique();
    }
}
