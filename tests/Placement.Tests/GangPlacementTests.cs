using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests;

public sealed class GangPlacementTests
{
    private const long Gib = 1L << 30;

    [Fact]
    public void Decide_WhenOneGangMemberDoesNotFit_PlacesNone()
    {
        var decision = Decide([ANode("a", free: 2), ANode("b", free: 1, busy: 1)], AJob(4)).Single();

        decision.Devices.ShouldBeNull();
        decision.Words.ShouldBe("needs 4 cpu devices at once; 3 of the 4 that it could use are free");
    }

    [Fact]
    public void Decide_PrefersOneNode_ThenTheOneItFillsBest() =>
        Decide([ANode("a", free: 8), ANode("b", free: 3), ANode("c", free: 4)], AJob(3)).Single().Devices
            .ShouldBe(["b/cpu:0", "b/cpu:1", "b/cpu:2"]);

    [Fact]
    public void Decide_AcrossNodes_TakesTheFewest_AndTheTightestForTheRest() =>
        Decide([ANode("a", free: 1), ANode("b", free: 4), ANode("c", free: 2), ANode("d", free: 3)], AJob(5)).Single().Devices
            .ShouldBe(["b/cpu:0", "b/cpu:1", "b/cpu:2", "b/cpu:3", "a/cpu:0"]);

    [Fact]
    public void Decide_WithMaxDevicesPerNode_SpreadsTheJob() =>
        Decide([ANode("a", free: 4), ANode("b", free: 4)], AJob(2, maxPerNode: 1)).Single().Devices!
            .Select(d => d[0]).ShouldBe(['a', 'b'], ignoreOrder: true);

    [Fact]
    public void Decide_OfAnyKind_NeverMixes()
    {
        var nodes = new[] { ANode("gpu", free: 2, kind: DeviceClass.Cuda), ANode("cpu", free: 2) };

        Decide(nodes, AJob(2, kind: null)).Single().Devices.ShouldBe(["gpu/cuda:0", "gpu/cuda:1"]);
        Decide(nodes, AJob(3, kind: null)).Single().Devices.ShouldBeNull();
    }

    [Fact]
    public void Decide_HoldsToLabelsAndDataSets()
    {
        var nodes = new[]
        {
            ANode("plain", free: 2), ANode("labelled", free: 2, labels: new() { ["zone"] = "east" }),
            ANode("other", free: 2, labels: new() { ["zone"] = "west" }), ANode("imagenet", free: 2, dataSets: ["imagenet"]),
        };

        Decide(nodes, AJob(1, labels: new() { ["zone"] = "east" })).Single().Devices.ShouldBe(["labelled/cpu:0"]);
        Decide(nodes, AJob(1, dataSet: "imagenet")).Single().Devices.ShouldBe(["imagenet/cpu:0"]);
    }

    [Fact]
    public void Decide_AvoidsANodeThatFailed_ButOnlyIfThereIsAnother()
    {
        var (a, b) = (ANode("a", free: 1), ANode("b", free: 1));

        Decide([a, b], AJob(1, avoid: [a.Id])).Single().Devices.ShouldBe(["b/cpu:0"]);
        Decide([a], AJob(1, avoid: [a.Id])).Single().Devices.ShouldBe(["a/cpu:0"]);
        Decide([a, b], AJob(2, avoid: [a.Id])).Single().Devices!.Length.ShouldBe(2);
    }

    [Fact]
    public void Decide_NeverTakesAnExcludedNode_AndSaysSoWhereTheOthersDoNotSuffice()
    {
        var (a, b) = (ANode("a", free: 1), ANode("b", free: 1));

        Decide([a, b], Without(AJob(1), a)).Single().Devices.ShouldBe(["b/cpu:0"]);
        var waiting = Decide([a, b], Without(AJob(2), a), AJob(1));
        waiting[0].Reason.ShouldBe(new WaitReason(
            WaitCause.NodesExcluded,
            "needs 2 cpu devices, which the nodes that are left to it do not have: a is excluded from it for good; "
            + "add nodes, or submit it again"));
        waiting[1].Devices.ShouldBe(["a/cpu:0"], "it keeps nothing from others");

        var busy = Decide([a, ANode("b", busy: 1)], Without(AJob(1), a)).Single();
        busy.Reason.ShouldBe(new WaitReason(WaitCause.WaitingForDevices, "needs 1 cpu device; the one that it could use is not free"));
        // Its own devices are no exception.
        var own = Without(AJob(1) with { Own = [new GrantedDevice(a.Id, "cpu:0")] }, a);
        Decide([a, b], own).Single().Devices.ShouldBe(["b/cpu:0"]);

        static WaitingJob Without(WaitingJob job, Sketch node) =>
            job with { Need = job.Need with { Excluded = new HashSet<NodeKey> { node.Id } } };
    }

    [Fact]
    public void Decide_SmallJobsDoNotPassTheHead_OntoDevicesThatItCouldUse()
    {
        var decisions = Decide([ANode("a", free: 2, busy: 2)], AJob(4), AJob(1));

        decisions[1].Devices.ShouldBeNull();
        decisions[1].Words.ShouldBe($"waits its turn: the free devices are kept for job {decisions[0].Job}");
    }

    [Fact]
    public void Decide_SmallJobsPassTheHead_OntoDevicesThatItCannotUse()
    {
        var nodes = new[]
        {
            ANode("gpu", free: 1, busy: 1, kind: DeviceClass.Cuda), ANode("cpu", free: 1),
            ANode("imagenet", free: 1, dataSets: ["imagenet"]),
        };

        var decisions = Decide(
            nodes, AJob(2, DeviceClass.Cuda), AJob(2), AJob(1, DeviceClass.Cuda), AJob(1), AJob(1, dataSet: "imagenet"));

        decisions.Select(d => d.Devices?[0]).ShouldBe([null, null, null, "cpu/cpu:0", "imagenet/cpu:0"]);
    }

    [Fact]
    public void Decide_WhatCanNeverRun_KeepsNothingFromOthers()
    {
        var decisions = Decide([ANode("a", free: 2)], AJob(12), AJob(2));

        decisions[0].Words.ShouldStartWith("resources.devices is 12 but the registered cluster has 2 cpu devices");
        decisions[1].Devices.ShouldNotBeNull();
    }

    [Fact]
    public void Order_IsPriorityThenAge()
    {
        var (young, old, urgent) = (AJob(1, age: 1), AJob(1, age: 2), AJob(1, priority: 5));

        new[] { young, old, urgent }.Order(QueueOrder.Instance).ShouldBe([urgent, old, young]);
    }


    [Theory]
    [InlineData(
        12, 0, "zone", "fashion-mnist",
        "resources.nodeLabels is zone=east, which no registered node with data set 'fashion-mnist' carries")]
    [InlineData(12, 0, "", "cifar-10", "data.name is 'cifar-10', which no registered node has (they have fashion-mnist)")]
    [InlineData(
        12, 0, "", "image-folder/my-photos",
        "data.folder is 'image-folder/my-photos', which no registered node has (they have fashion-mnist)")]
    [InlineData(12, 0, "", "fashion-mnist", "resources.devices is 12 but the registered cluster has 4 cpu devices")]
    [InlineData(3, 1, "", "fashion-mnist", "resources.maxDevicesPerNode is 1, so 3 devices need more nodes than the 2 registered ones")]
    public void Explain_NamesSettingValueAndRemedy(int devices, int maxPerNode, string label, string dataSet, string reason)
    {
        var labels = label.Length > 0 ? new Dictionary<string, string> { [label] = "east" } : [];

        var need = AJob(devices, maxPerNode: maxPerNode, labels: labels, dataSet: dataSet).Need;
        var explained = Explain(need, ANode("a", free: 2), ANode("b", busy: 2));

        explained.ShouldNotBeNull().ShouldStartWith(reason);
        explained.ShouldContain("--wait-for-capacity");
    }

    [Fact]
    public void Explain_OfWhatFits_IsNull() => Explain(AJob(4).Need, ANode("a", free: 2), ANode("b", busy: 2)).ShouldBeNull();

    [Fact]
    public void Decide_CpuDevicesShareTheirNodesMemory()
    {
        var nodes = new[] { ANode("a", free: 4, busy: 1, bytes: 10 * Gib, freeBytes: 7 * Gib), ANode("b", free: 4, bytes: 3 * Gib) };

        Decide(nodes, AJob(2, rankBytes: 3 * Gib), AJob(1, rankBytes: 3 * Gib), AJob(1, rankBytes: Gib), AJob(1))
            .Select(d => d.Devices).ShouldBe([["a/cpu:1", "a/cpu:2"], ["b/cpu:0"], ["a/cpu:3"], ["a/cpu:4"]]);
    }

    [Fact]
    public void Decide_AGpuHasItsOwnMemory()
    {
        var two = ANode("mixed", free: 2, kind: DeviceClass.Cuda);
        var mixed = two with
        {
            Node = two.Node with { Devices = [new("cuda:0", DeviceClass.Cuda, 4 * Gib), new("cuda:1", DeviceClass.Cuda, 16 * Gib)] },
        };

        WaitingJob Large() => AJob(1, DeviceClass.Cuda, rankBytes: 8 * Gib);
        Decide([mixed], Large(), Large(), AJob(1, DeviceClass.Cuda, rankBytes: Gib))
            .Select(d => d.Devices?.Single()).ShouldBe(["mixed/cuda:1", null, null]);
        Decide([mixed], AJob(2, DeviceClass.Cuda, rankBytes: 4 * Gib)).Single().Devices.ShouldBe(["mixed/cuda:0", "mixed/cuda:1"]);
    }

    [Fact]
    public void Decide_WhenMemoryIsTaken_SaysSo()
    {
        var node = ANode("a", free: 3, busy: 1, bytes: 10 * Gib, freeBytes: 3 * Gib);

        var reason = Decide([node], AJob(2, rankBytes: 2 * Gib)).Single().Words;

        reason.ShouldBe(
            "needs 2 cpu devices at once; 1 of the 4 that it could use is free; "
            + "others take the memory beside 2 idle ones: each rank needs 2.0 GiB");
    }

    [Fact]
    public void Decide_WhatIsTooLargeForANode_KeepsNothingThere()
    {
        var (small, large) = (ANode("small", free: 1, bytes: Gib), ANode("large", busy: 1, bytes: 8 * Gib, freeBytes: 8 * Gib));

        var decisions = Decide([small, large], AJob(1, rankBytes: 2 * Gib), AJob(1));

        decisions[0].Words.ShouldBe("needs 1 cpu device; the one that it could use is not free");
        decisions[1].Devices.ShouldBe(["small/cpu:0"]);
    }

    [Fact]
    public void Explain_OfWhatNoNodesMemoryHolds_NamesTheNumbers() =>
        Explain(AJob(2, rankBytes: 6 * Gib).Need, ANode("a", free: 2, bytes: 8 * Gib), ANode("b", free: 2, bytes: 4 * Gib)).ShouldBe(
            "each of 2 ranks is expected to take 6.0 GiB of memory, for which the registered nodes that the job admits have room for 1 "
            + "(the largest has 8.0 GiB in all); "
            + "lower hyperparameters.globalBatchSize or the model's size, add nodes, or submit with --wait-for-capacity");

    [Fact]
    public void Explain_OfWhatFitsOnceOthersEnd_IsNull() =>
        Explain(AJob(1, rankBytes: 6 * Gib).Need, ANode("a", free: 2, busy: 1, bytes: 8 * Gib)).ShouldBeNull();

    [Theory]
    [InlineData(1, 0, 1, "needs 1 cpu device; the one that it could use is not free")]
    [InlineData(1, 0, 3, "needs 1 cpu device; none of the 3 that it could use is free")]
    [InlineData(2, 0, 2, "needs 2 cpu devices at once; none of the 2 that it could use is free")]
    [InlineData(2, 1, 2, "needs 2 cpu devices at once; 1 of the 3 that it could use is free")]
    [InlineData(3, 2, 2, "needs 3 cpu devices at once; 2 of the 4 that it could use are free")]
    public void Words_AreRightForOneAndForSeveral(int devices, int free, int busy, string words) =>
        Decide([ANode("a", free, busy)], AJob(devices)).Single().Reason.ShouldBe(new WaitReason(WaitCause.WaitingForDevices, words));

    [Fact]
    public void Words_OfOneFreeDeviceThatIsKept_SayIs()
    {
        var decisions = Decide([ANode("a", free: 1, busy: 1)], AJob(2), AJob(1));

        decisions[1].Reason.ShouldBe(
            new WaitReason(WaitCause.WaitingForTurn, $"waits its turn: the free device is kept for job {decisions[0].Job}"));
    }

    [Fact]
    public void Explain_OfOneRank_SpeaksOfOne() =>
        Explain(AJob(1, rankBytes: 6 * Gib).Need, ANode("a", free: 1, bytes: 4 * Gib)).ShouldNotBeNull().ShouldStartWith(
            "its rank is expected to take 6.0 GiB of memory, for which the registered nodes that the job admits have no room");

    [Fact]
    public void Explain_OfOneDeviceThatThereIs_SaysDevice() =>
        Explain(AJob(2).Need, ANode("a", free: 1)).ShouldNotBeNull()
            .ShouldStartWith("resources.devices is 2 but the registered cluster has 1 cpu device; ");

    [Fact]
    public void Causes_TellWhyAJobWaits()
    {
        var lost = ANode("b", busy: 1, lostAt: Now);

        Decide([ANode("a", busy: 1)], AJob(1)).Single().Reason!.Cause.ShouldBe(WaitCause.WaitingForDevices);
        Decide([ANode("a", free: 1, busy: 1, bytes: 4 * Gib)], AJob(1, rankBytes: Gib)).Single().Reason!.Cause
            .ShouldBe(WaitCause.WaitingForMemory);
        Decide([ANode("a", free: 1, busy: 1)], AJob(2), AJob(1))[1].Reason!.Cause.ShouldBe(WaitCause.WaitingForTurn);
        Decide([ANode("a", free: 1), lost], AJob(2)).Single().Reason!.Cause.ShouldBe(WaitCause.WaitingForNode);
        Decide([ANode("a", free: 1)], AJob(2)).Single().Reason!.Cause.ShouldBe(WaitCause.Infeasible);
        WaitReason.BackingOff(Now.AddSeconds(5), "rank 0 failed").ShouldBe(
            new WaitReason(WaitCause.BackingOff, "waits until 00:00:05 UTC after a failure: rank 0 failed"));
    }

    /// <summary>Programs tell jobs apart by them: none changes.</summary>
    [Fact]
    public void Codes_AreStable() => Enum.GetValues<WaitCause>().Select(cause => cause.Code()).ShouldBe(
        [
            "waiting_for_devices", "waiting_for_memory", "waiting_for_turn", "waiting_for_node", "backing_off", "infeasible",
            "waiting_for_quota", "waiting_for_owner_limit", "waiting_for_release", "not_settled",
            "nodes_excluded",
        ]);
}
