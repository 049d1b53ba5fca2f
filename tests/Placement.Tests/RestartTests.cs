using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests;

/// <summary>A job that failed and had devices.</summary>
public sealed class RestartTests
{
    private static readonly RegisteredNode Node = ANode("node", free: 3).Node;

    [Fact]
    public void Decide_AFailedJob_StartsFirst_OnTheDevicesThatItHad()
    {
        var failed = Failed(null);

        var plan = StateOf(AJob(2, age: 9), failed).Decide(Now, Policy);

        var start = plan.Starts.ShouldHaveSingleItem();
        (start.Job, string.Join(' ', start.Ranks.Select(rank => rank.Device))).ShouldBe((failed.Id, "cpu:2 cpu:1"));
    }

    /// <summary>Older ones of its priority do not get them, though they come before it.</summary>
    [Fact]
    public void Decide_InItsPause_HoldsItsDevices_AgainstAllButAHigherPriority()
    {
        var failed = Failed(Now.AddSeconds(30));
        var (older, urgent) = (AJob(2, age: 9), AJob(2, priority: 1));

        var held = StateOf(older, failed).Decide(Now, Policy);
        held.Starts.ShouldBeEmpty();
        held.Waiting.Single().Reason.Words.ShouldStartWith(
            $"waits its turn: the free devices are kept for job {failed.Id}, which starts again");

        StateOf(urgent, failed).Decide(Now, Policy).Starts.ShouldHaveSingleItem().Job.ShouldBe(urgent.Id);
    }

    /// <summary>What does not help the other one is not taken from it.</summary>
    [Fact]
    public void Decide_AHigherPriorityThatDoesNotFitAnyway_LeavesTheDevicesHeld()
    {
        var failed = Failed(Now.AddSeconds(30));
        var busy = new ClusterChange.JobGranted(new JobKey(Guid.NewGuid()), default, [new GrantedDevice(Node.Id, "cpu:0")]);
        var state = StateOf(AJob(3, priority: 1), failed, AJob(1));
        state.Apply(busy);

        state.Decide(Now, Policy).Starts.ShouldBeEmpty();
    }

    private static WaitingJob Failed(DateTimeOffset? notBefore) => AJob(2, notBefore: notBefore) with
    {
        Own = [new GrantedDevice(Node.Id, "cpu:2"), new GrantedDevice(Node.Id, "cpu:1")],
    };

    private static ClusterState StateOf(params WaitingJob[] jobs)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        foreach (var job in jobs)
            state.Apply(new ClusterChange.JobQueued(job));
        return state;
    }
}
