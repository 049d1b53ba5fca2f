using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests;

/// <summary>What stands idle for a job that something befell: its pause after a failure, the loss of a node.</summary>
public sealed class HeldDevicesTests
{
    private const long Gib = 1L << 30;

    private static readonly DateTimeOffset Soon = Now.AddSeconds(5);

    [Fact]
    public void Decide_InAJobsPause_GivesItsDevicesToNobodyBehindIt_AndSaysWhy()
    {
        var paused = AJob(2, notBefore: Soon);

        var decisions = Decide([ANode("a", free: 2)], paused, AJob(2), AJob(1));

        decisions[0].Devices.ShouldBeNull();
        var why = $"waits its turn: the free devices are kept for job {paused.Id}, which starts again at 00:00:05 UTC after a failure";
        decisions.Skip(1).Select(d => d.Words).ShouldAllBe(reason => reason == why);
    }

    [Fact]
    public void Decide_InAJobsPause_GivesTheRestToOthers() =>
        Decide([ANode("a", free: 3), ANode("b", free: 2)], AJob(2, notBefore: Soon), AJob(3), AJob(2)).Select(d => d.Devices).ShouldBe(
            [null, ["a/cpu:0", "a/cpu:1", "a/cpu:2"], null]);

    [Fact]
    public void Decide_InAJobsPause_GivesItsDevicesToAHigherPriority()
    {
        var decisions = Decide([ANode("a", free: 2)], AJob(1, priority: 5), AJob(2, notBefore: Soon), AJob(1));

        decisions[0].Devices.ShouldBe(["a/cpu:0"]);
        decisions[2].Devices.ShouldBeNull("what is left is kept for the gang, which does not fit now");
    }

    [Fact]
    public void Decide_WhenThePauseIsOver_PlacesTheJob_AndHoldsNothingMore()
    {
        var decisions = Decide([ANode("a", free: 3)], AJob(2, notBefore: Now), AJob(1));

        decisions.Select(d => d.Devices).ShouldBe([["a/cpu:0", "a/cpu:1"], ["a/cpu:2"]]);
    }

    [Fact]
    public void Decide_InALongPause_HoldsDevicesInItsLastPartOnly()
    {
        var free = ANode("a", free: 1);

        Decide([free], AJob(1, notBefore: Now + LongestHold + TimeSpan.FromSeconds(1)), AJob(1))[1].Devices.ShouldBe(["a/cpu:0"]);
        Decide([free], AJob(1, notBefore: Now + LongestHold), AJob(1))[1].Devices.ShouldBeNull();
    }

    [Fact]
    public void Decide_HoldsWhatTheJobWouldTake_NotTheNodeThatFailedIt()
    {
        var (a, b) = (ANode("a", free: 1), ANode("b", free: 1));

        Decide([a, b], AJob(1, notBefore: Soon, avoid: [a.Id]), AJob(1))[1].Devices.ShouldBe(["a/cpu:0"]);
        Decide([a], AJob(1, notBefore: Soon, avoid: [a.Id]), AJob(1))[1].Devices.ShouldBeNull("there is no other node");
    }

    [Fact]
    public void Decide_HoldsTheKindThatTheJobWouldTake()
    {
        var nodes = new[] { ANode("gpu", free: 1, kind: DeviceClass.Cuda), ANode("cpu", free: 1) };

        Decide(nodes, AJob(1, kind: null, notBefore: Soon), AJob(1, DeviceClass.Cuda), AJob(1)).Select(d => d.Devices?[0])
            .ShouldBe([null, null, "cpu/cpu:0"]);
    }

    [Fact]
    public void Decide_HoldsTheMemoryToo()
    {
        var node = ANode("a", free: 4, bytes: 8 * Gib, freeBytes: 8 * Gib);

        var decisions = Decide([node], AJob(1, notBefore: Soon, rankBytes: 6 * Gib), AJob(1, rankBytes: 3 * Gib), AJob(1, rankBytes: Gib));

        decisions[1].Words.ShouldContain("kept for job");
        decisions[2].Devices.ShouldBeNull("the one before it could use every device of the node");
    }

    [Fact]
    public void Decide_OfSeveralPausedJobs_HoldsForEach()
    {
        var decisions = Decide([ANode("a", free: 3)], AJob(1, notBefore: Soon), AJob(1, notBefore: Soon), AJob(1), AJob(1));

        decisions.Select(d => d.Devices?[0]).ShouldBe([null, null, "a/cpu:2", null]);
    }

    /// <summary>A gang whose one node has just gone, in its pause after that and later.</summary>
    [Fact]
    public void Decide_WhenANodeIsLost_KeepsNothingForWhatNeedsIt_AndSaysSo()
    {
        var nodes = new[] { ANode("a", free: 1), ANode("b", busy: 1, lostAt: Now.AddSeconds(-1)) };

        Decide(nodes, AJob(2, notBefore: Soon), AJob(1))[1].Devices.ShouldBe(["a/cpu:0"]);
        var decisions = Decide(nodes, AJob(2), AJob(1));
        decisions[0].Reason.ShouldBe(new WaitReason(
            WaitCause.WaitingForNode,
            "needs 2 cpu devices at once; 1 of the 2 that it could use is free, 1 is on a lost node (b); others may start before it"));
        decisions[1].Devices.ShouldBe(["a/cpu:0"]);
    }

    /// <summary>By option the devices on the other nodes are there when the lost one returns.</summary>
    [Fact]
    public void Decide_WhereLostNodesAreExpectedBack_KeepsTheOthersForAWhile()
    {
        var policy = Policy with { LostNodeHold = TimeSpan.FromMinutes(3) };
        Sketch[] Lost(TimeSpan ago) => [ANode("a", free: 1), ANode("b", busy: 1, lostAt: Now - ago)];

        foreach (var notBefore in new DateTimeOffset?[] { Soon, null })
        {
            var gang = AJob(2, notBefore: notBefore);
            var decisions = Decide(policy, Lost(policy.LostNodeHold - TimeSpan.FromSeconds(1)), gang, AJob(1));
            decisions[1].Words.ShouldBe($"waits its turn: the free device is kept for job {gang.Id}");
        }

        Decide(policy, Lost(policy.LostNodeHold), AJob(2), AJob(1))[1].Devices.ShouldBe(["a/cpu:0"]);
    }

    /// <summary>How long somebody keeps new jobs from it nobody knows.</summary>
    [Fact]
    public void Decide_WhenANodeIsDrained_GivesNothingOfIt_AndKeepsNothingForWhatNeedsIt()
    {
        var drained = ANode("b", free: 1, busy: 1, drained: true);
        var lost = ANode("c", free: 1, lostAt: Now);

        var decisions = Decide([ANode("a", free: 1), drained, lost], AJob(3), AJob(1), AJob(1));

        decisions[0].Reason.ShouldBe(new WaitReason(
            WaitCause.WaitingForNode,
            "needs 3 cpu devices at once; 1 of the 4 that it could use is free, 1 is on a lost node (c), 2 are on a drained node (b); "
                + "others may start before it"));
        decisions[1].Devices.ShouldBe(["a/cpu:0"]);
        decisions[2].Words.ShouldBe(
            "needs 1 cpu device; none of the 4 that it could use is free, 1 is on a lost node (c), 2 are on a drained node (b)");
    }
}
