using System.Collections.Immutable;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Placement;
using static Cluster.Scheduler.Tests.Placement.ClusterBuilder;

namespace Cluster.Scheduler.Tests.Placement;

public sealed class GangPlacementTests
{
    private const long Gib = 1L << 30;

    [Fact]
    public void Decide_WhenOneGangMemberDoesNotFit_PlacesNone()
    {
        var decision = Decide([ANode("a", free: 2), ANode("b", free: 1, busy: 1)], AJob(4)).Single();

        decision.Devices().ShouldBeNull();
        decision.Waiting().Reason.ShouldBe("needs 4 cpu devices at once; 3 of the 4 that it could use are free");
        decision.Waiting().Position.ShouldBe(1);
    }

    [Fact]
    public void Decide_PrefersOneNode_ThenTheOneItFillsBest() =>
        Decide([ANode("a", free: 8), ANode("b", free: 3), ANode("c", free: 4)], AJob(3)).Single().Devices()
            .ShouldBe(["b/cpu:0", "b/cpu:1", "b/cpu:2"]);

    [Fact]
    public void Decide_AcrossNodes_TakesTheFewest_AndTheTightestForTheRest() =>
        Decide([ANode("a", free: 1), ANode("b", free: 4), ANode("c", free: 2), ANode("d", free: 3)], AJob(5)).Single().Devices()
            .ShouldBe(["b/cpu:0", "b/cpu:1", "b/cpu:2", "b/cpu:3", "a/cpu:0"]);

    [Fact]
    public void Decide_WithMaxDevicesPerNode_SpreadsTheJob() =>
        Decide([ANode("a", free: 4), ANode("b", free: 4)], AJob(2, maxPerNode: 1)).Single().Devices()!.Select(d => d[0])
            .ShouldBe(['a', 'b'], ignoreOrder: true);

    [Fact]
    public void Decide_OfAnyKind_NeverMixes()
    {
        var nodes = new[] { ANode("gpu", free: 2, kind: DeviceKind.Cuda), ANode("cpu", free: 2) };

        Decide(nodes, AJob(2, DeviceKind.Any)).Single().Devices().ShouldBe(["gpu/cuda:0", "gpu/cuda:1"]);
        Decide(nodes, AJob(3, DeviceKind.Any)).Single().Devices().ShouldBeNull();
    }

    [Fact]
    public void Decide_HoldsToLabelsAndDataSets()
    {
        var nodes = new[]
        {
            ANode("plain", free: 2), ANode("labelled", free: 2, labels: new() { ["zone"] = "east" }),
            ANode("other", free: 2, labels: new() { ["zone"] = "west" }), ANode("imagenet", free: 2, dataSets: ["imagenet"]),
        };

        Decide(nodes, AJob(1, labels: new() { ["zone"] = "east" })).Single().Devices().ShouldBe(["labelled/cpu:0"]);
        Decide(nodes, AJob(1, dataSet: "imagenet")).Single().Devices().ShouldBe(["imagenet/cpu:0"]);
    }

    [Fact]
    public void Decide_AvoidsANodeThatFailed_ButOnlyIfThereIsAnother()
    {
        var (a, b) = (ANode("a", free: 1), ANode("b", free: 1));

        Decide([a, b], AJob(1, avoid: [a.Id])).Single().Devices().ShouldBe(["b/cpu:0"]);
        Decide([a], AJob(1, avoid: [a.Id])).Single().Devices().ShouldBe(["a/cpu:0"]);
        Decide([a, b], AJob(2, avoid: [a.Id])).Single().Devices()!.Length.ShouldBe(2);
    }

    [Fact]
    public void Decide_SmallJobsDoNotPassTheHead_OntoDevicesThatItCouldUse()
    {
        var decisions = Decide([ANode("a", free: 2, busy: 2)], AJob(4), AJob(1));

        decisions[1].Devices().ShouldBeNull();
        decisions[1].Waiting().Position.ShouldBe(2);
        decisions[1].Waiting().Reason.ShouldBe($"waits its turn: the free devices are kept for job {decisions[0].Job}");
    }

    [Fact]
    public void Decide_SmallJobsPassTheHead_OntoDevicesThatItCannotUse()
    {
        var nodes = new[] { ANode("gpu", free: 1, busy: 1, kind: DeviceKind.Cuda), ANode("cpu", free: 1),
            ANode("imagenet", free: 1, dataSets: ["imagenet"]) };

        var decisions = Decide(nodes, AJob(2, DeviceKind.Cuda), AJob(2), AJob(1, DeviceKind.Cuda), AJob(1), AJob(1, dataSet: "imagenet"));

        decisions.Select(d => d.Devices()?[0]).ShouldBe([null, null, null, "cpu/cpu:0", "imagenet/cpu:0"]);
    }

    [Fact]
    public void Decide_WhatCanNeverRun_KeepsNothingFromOthers()
    {
        var decisions = Decide([ANode("a", free: 2)], AJob(12), AJob(2));

        decisions[0].Waiting().Reason.ShouldStartWith("resources.devices is 12 but the registered cluster has 2 cpu devices");
        decisions[1].Devices().ShouldNotBeNull();
    }

    [Fact]
    public void Order_IsPriorityThenAge()
    {
        var (young, old, urgent) = (AJob(1, age: 1), AJob(1, age: 2), AJob(1, priority: 5));

        QueueOrder.Sort([young, old, urgent]).ShouldBe([urgent, old, young]);
    }

    [Theory]
    [InlineData("cifar-10", "", "cifar-10")]
    [InlineData("image-folder", "my-photos", "image-folder/my-photos")]
    [InlineData("tar-shards", "my-photos", "tar-shards/my-photos")]
    public void Need_OfAFolder_IsThatOfItsName(string data, string folder, string needed) =>
        DeviceNeed.Of(new JobSpec { Data = new DataSpec { Name = data, Folder = folder } }, memory: null).DataSet.ShouldBe(needed);

    [Theory]
    [InlineData(12, 0, "zone", "fashion-mnist",
        "resources.nodeLabels is zone=east, which no registered node with data set 'fashion-mnist' carries")]
    [InlineData(12, 0, "", "cifar-10", "data.name is 'cifar-10', which no registered node has (they have fashion-mnist)")]
    [InlineData(12, 0, "", "image-folder/my-photos",
        "data.folder is 'image-folder/my-photos', which no registered node has (they have fashion-mnist)")]
    [InlineData(12, 0, "", "fashion-mnist", "resources.devices is 12 but the registered cluster has 4 cpu devices")]
    [InlineData(3, 1, "", "fashion-mnist", "resources.maxDevicesPerNode is 1, so 3 devices need more nodes than the 2 registered ones")]
    public void Explain_NamesSettingValueAndRemedy(int devices, int maxPerNode, string label, string dataSet, string reason)
    {
        var labels = label.Length > 0 ? new Dictionary<string, string> { [label] = "east" } : [];

        var explained = Feasibility.Explain(
            AJob(devices, maxPerNode: maxPerNode, labels: labels, dataSet: dataSet).Need, [ANode("a", free: 2), ANode("b", busy: 2)]);

        explained.ShouldNotBeNull().ShouldStartWith(reason);
        explained.ShouldContain("--wait-for-capacity");
    }

    [Fact]
    public void Explain_OfWhatFits_IsNull() => Feasibility.Explain(AJob(4).Need, [ANode("a", free: 2), ANode("b", busy: 2)]).ShouldBeNull();

    [Fact]
    public void Decide_CpuDevicesShareTheirNodesMemory()
    {
        var nodes = new[] { ANode("a", free: 4, bytes: 10 * Gib, freeBytes: 7 * Gib),
            ANode("b", free: 4, bytes: 3 * Gib, freeBytes: 3 * Gib) };

        Decide(nodes, AJob(2, rankBytes: 3 * Gib), AJob(1, rankBytes: 3 * Gib), AJob(1, rankBytes: Gib), AJob(1)).Select(d => d.Devices())
            .ShouldBe(
                [["a/cpu:0", "a/cpu:1"], ["b/cpu:0"], ["a/cpu:2"], ["a/cpu:3"]]);
    }

    [Fact]
    public void Decide_AGpuHasItsOwnMemory()
    {
        var mixed = ANode("mixed", free: 2, kind: DeviceKind.Cuda) with
        {
            Memory = new NodeMemory(0, 0, ImmutableDictionary<string, long>.Empty.Add("cuda:0", 4 * Gib).Add("cuda:1", 16 * Gib)),
        };

        Decide([mixed], AJob(1, DeviceKind.Cuda, rankBytes: 8 * Gib), AJob(1, DeviceKind.Cuda, rankBytes: 8 * Gib),
            AJob(1, DeviceKind.Cuda, rankBytes: Gib))
            .Select(d => d.Devices()?.Single()).ShouldBe(["mixed/cuda:1", null, null]);
        Decide([mixed], AJob(2, DeviceKind.Cuda, rankBytes: 4 * Gib)).Single().Devices().ShouldBe(["mixed/cuda:0", "mixed/cuda:1"]);
    }

    [Fact]
    public void Decide_WhenMemoryIsTaken_SaysSo()
    {
        var reason = Decide([ANode("a", free: 3, busy: 1, bytes: 10 * Gib, freeBytes: 3 * Gib)], AJob(2, rankBytes: 2 * Gib)).Single()
            .Waiting().Reason;

        reason.ShouldBe("needs 2 cpu devices at once; 1 of the 4 that it could use are free; others take the memory beside 2 idle ones: "
            + "each rank needs 2.0 GiB");
    }

    [Fact]
    public void Decide_WhatIsTooLargeForANode_KeepsNothingThere()
    {
        var decisions = Decide([ANode("small", free: 1, bytes: Gib, freeBytes: Gib), ANode("large", busy: 1, bytes: 8 * Gib)],
            AJob(1, rankBytes: 2 * Gib), AJob(1));

        decisions[0].Waiting().Reason.ShouldBe("needs 1 cpu devices at once; 0 of the 1 that it could use are free");
        decisions[1].Devices().ShouldBe(["small/cpu:0"]);
    }

    [Fact]
    public void Explain_OfWhatNoNodesMemoryHolds_NamesTheNumbers() =>
        Feasibility.Explain(AJob(2, rankBytes: 6 * Gib).Need,
            [ANode("a", free: 2, bytes: 8 * Gib, freeBytes: Gib), ANode("b", free: 2, bytes: 4 * Gib)]).ShouldBe(
                "each of 2 ranks is expected to take 6.0 GiB of memory, for which the registered nodes that the job admits have room for 1 "
                    + "(the largest has 8.0 GiB in all); "
                + "lower hyperparameters.globalBatchSize or the model's size, add nodes, or submit with --wait-for-capacity");

    [Fact]
    public void Explain_OfWhatFitsOnceOthersEnd_IsNull() =>
        Feasibility.Explain(AJob(1, rankBytes: 6 * Gib).Need, [ANode("a", free: 2, bytes: 8 * Gib, freeBytes: 0)]).ShouldBeNull();
}
