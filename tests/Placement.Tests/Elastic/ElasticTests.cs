using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Elastic;

public sealed class ElasticTests
{
    private static readonly RegisteredNode Node = ANode("node", free: 4).Node;
    private static readonly DeviceNeed OneToFour = AJob(4).Need with { MinDevices = 1 };

    [Fact]
    public void Decide_AnElasticJob_StartsWithWhatThereIs()
    {
        var state = StateOf(Running(0, 1, OneToFour));
        state.Apply(new ClusterChange.JobQueued(AJob(1) with { Need = OneToFour }));

        state.Decide(Now, Policy).Starts.Single().Ranks.Length.ShouldBe(3);
    }

    [Fact]
    public void Decide_ShrinksRatherThanStops_AndByNoMoreThanNeeded()
    {
        var (elastic, fixedOne) = (Running(0, 3, OneToFour), Running(3, 1, AJob(1).Need));
        var state = StateOf(elastic, fixedOne);
        var urgent = AJob(1, priority: 5);
        state.Apply(new ClusterChange.JobQueued(urgent));

        var plan = state.Decide(Now, Policy);

        plan.Preemptions.ShouldBeEmpty();
        var resize = plan.Resizes.ShouldHaveSingleItem();
        (resize.Job, resize.Keeps.Length, resize.For).ShouldBe((elastic.Job, 2, urgent.Id));
    }

    [Fact]
    public void Decide_GrowsOntoIdleDevices_NoOftenerThanAllowed()
    {
        var elastic = Running(0, 2, OneToFour);
        var state = StateOf(elastic);

        var resize = state.Decide(Now, Policy).Resizes.ShouldHaveSingleItem();
        (resize.Keeps.Length, resize.Gains.Length, resize.For).ShouldBe((2, 2, null));

        state.Apply(elastic with { Facts = elastic.Facts! with { ResizedAt = Now.AddSeconds(1) - Policy.BetweenResizes } });
        state.Decide(Now, Policy).Resizes.ShouldBeEmpty();
    }

    [Fact]
    public void Decide_DoesNotGrowOntoDevicesThatSomebodyWaitsFor()
    {
        var state = StateOf(Running(0, 2, OneToFour));
        state.Apply(new ClusterChange.JobQueued(AJob(4)));

        state.Decide(Now, Policy).Resizes.ShouldBeEmpty();
    }

    private static ClusterState StateOf(params ClusterChange[] changes)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        foreach (var change in changes)
            state.Apply(change);
        return state;
    }

    private static ClusterChange.JobGranted Running(int first, int devices, DeviceNeed need) => new(
        new JobKey(Guid.NewGuid()), default, [.. Enumerable.Range(first, devices).Select(i => new GrantedDevice(Node.Id, $"cpu:{i}"))])
    {
        Facts = new RunningFacts(QueueKey.Default, "", 0, Now.AddHours(-1)) { Need = need },
    };
}
