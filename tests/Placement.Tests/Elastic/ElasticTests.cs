using System.Collections.Immutable;
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
        resize.Words.ShouldBe($"shrinks from 3 devices to 2 for job {urgent.Id}, which has a higher priority in the same queue");
    }

    [Fact]
    public void Decide_GrowsOntoIdleDevices_NoOftenerThanAllowed()
    {
        var elastic = Running(0, 2, OneToFour);
        var state = StateOf(elastic);

        var resize = state.Decide(Now, Policy).Resizes.ShouldHaveSingleItem();
        (resize.Keeps.Length, resize.Gains.Length, resize.For).ShouldBe((2, 2, null));
        resize.Words.ShouldBe("grows from 2 devices to 4, since others are idle and nobody waits for them");

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

    /// <summary>With twice the devices it gains half of what is left.</summary>
    [Theory]
    [InlineData(79, false)]
    [InlineData(81, true)]
    public void Decide_GrowsWhereThatGainsMoreThanTheRestartCosts(int secondsLeft, bool grows)
    {
        var elastic = Running(0, 2, OneToFour);
        var end = Now.AddSeconds(secondsLeft);
        var state = StateOf(elastic with
        {
            Facts = elastic.Facts! with { Restarting = TimeSpan.FromSeconds(40), End = new Estimate(end, end) },
        });

        state.Decide(Now, Policy).Resizes.Length.ShouldBe(grows ? 1 : 0);
    }

    [Fact]
    public void Decide_GoesOnWithTheDevicesThatItWasToHave_BeforeThoseThatComeEarlier()
    {
        var state = StateOf();
        var other = AJob(1, priority: 5);
        state.Apply(new ClusterChange.JobQueued(AJob(1) with { Need = OneToFour, Own = Devices(1, 3) }));
        state.Apply(new ClusterChange.JobQueued(other));

        var starts = state.Decide(Now, Policy).Starts;

        starts[0].Ranks.Select(rank => rank.Device).ShouldBe(["cpu:1", "cpu:2", "cpu:3"]);
        (starts[1].Job, starts[1].Ranks.Single().Device).ShouldBe((other.Id, "cpu:0"));
    }

    [Fact]
    public void Decide_GoesOnWithThoseOfTheDevicesThatAreFree_AndAFixedJobTakesOthersThen()
    {
        var state = StateOf(Running(2, 1, AJob(1).Need));
        var fixedOne = AJob(3) with { Own = Devices(0, 3) };
        state.Apply(new ClusterChange.JobQueued(fixedOne));
        state.Decide(Now, Policy).Starts.Single().Ranks.Select(rank => rank.Device).ShouldBe(["cpu:0", "cpu:1", "cpu:3"]);

        state.Apply(new ClusterChange.JobEnded(fixedOne.Id));
        state.Apply(new ClusterChange.JobQueued(AJob(1) with { Need = OneToFour, Own = Devices(0, 3) }));
        state.Decide(Now, Policy).Starts.Single().Ranks.Select(rank => rank.Device).ShouldBe(["cpu:0", "cpu:1"]);
    }

    [Fact]
    public void Next_HasTheRanksOfANodeNextToEachOther()
    {
        var (a, b) = (new NodeKey(Guid.NewGuid()), new NodeKey(Guid.NewGuid()));
        var resize = new JobResize(
            new JobKey(Guid.NewGuid()), 2, [new(a, "cpu:0"), new(b, "cpu:0")],
            [new(b, "b", 1, "cpu:1"), new(a, "a", 1, "cpu:1")], null, 0);

        resize.Next.ShouldBe([new(a, "cpu:0"), new(a, "cpu:1"), new(b, "cpu:0"), new(b, "cpu:1")]);
    }

    /// <summary>What is known of its length holds with all its devices; with the one that is idle it takes four times as long.</summary>
    [Theory]
    [InlineData(120, false)]
    [InlineData(30, true)]
    public void Decide_AnElasticJob_PassesOneThatIsPromisedItsStart_OnlyIfItEndsInTimeWithFewDevices(int seconds, bool passes)
    {
        var end = Now.AddSeconds(200);
        var first = Running(0, 3, AJob(3).Need);
        var state = StateOf(first with { Facts = first.Facts! with { End = new Estimate(end, end) } });
        state.Apply(new ClusterChange.JobQueued(AJob(4, age: 10)));
        var elastic = AJob(1) with
        {
            Need = OneToFour,
            Runtime = new ExpectedRuntime(TimeSpan.FromSeconds(seconds), TimeSpan.FromSeconds(seconds)),
        };
        state.Apply(new ClusterChange.JobQueued(elastic));

        state.Decide(Now, Policy).Starts.Any(start => start.Job == elastic.Id).ShouldBe(passes);
    }

    private static ImmutableArray<GrantedDevice> Devices(int first, int count) =>
        [.. Enumerable.Range(first, count).Select(i => new GrantedDevice(Node.Id, $"cpu:{i}"))];

    private static ClusterState StateOf(params ClusterChange[] changes)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        foreach (var change in changes)
            state.Apply(change);
        return state;
    }

    private static ClusterChange.JobGranted Running(int first, int devices, DeviceNeed need) => new(
        new JobKey(Guid.NewGuid()), default, Devices(first, devices))
    {
        Facts = new RunningFacts(QueueKey.Default, "", 0, Now.AddHours(-1)) { Need = need },
    };
}
