using Cluster.Scheduler.Nodes;

namespace Cluster.Scheduler.Tests.Nodes;

public sealed class LeaseRuleTests
{
    private const int Cases = 2000;

    private static readonly NodeOptions Options = new();
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

    /// <summary>Schedulers and the store pause, fail and restart for any length of time.</summary>
    [Fact]
    public void Judge_WhateverSchedulersAndStoreDo_LosesNoNodeThatLives_AndInTheEndEveryOneThatDoesNot()
    {
        for (var seed = 0; seed < Cases; seed++)
        {
            var cluster = new LeaseSimulation(seed);
            cluster.Disturb(TimeSpan.FromMinutes(2));
            cluster.Agents.ShouldAllBe(agent => !agent.IsLost, $"seed {seed}");
            cluster.Agents[0].Lives = false;
            cluster.Calm(Options.LongestSchedulerAbsence + (2 * Options.LeaseDuration));
            cluster.Agents.Select(agent => agent.IsLost).ShouldBe([true, false, false, false], $"seed {seed}");
        }
    }

    [Fact]
    public void Judge_WhenAllWereHere_LetsLeasesRunOut() =>
        Judge(Options.LongestAbsence, others: Options.LongestAbsence).ShouldBe(LeaseVerdict.Expire);

    [Fact]
    public void Judge_AtTheFirstLook_ExtendsLeases() => Judge(null).Extension.ShouldBe(LeaseExtension.SchedulerStarted);

    [Fact]
    public void Judge_AfterTheStoreFailed_ExtendsLeases() =>
        Judge(Moment, storeFailed: true).ShouldBe(new LeaseVerdict(LeaseExtension.StoreFailed, "the store failed a moment ago"));

    [Fact]
    public void Judge_WhenALookComesLate_OrTheClockWasSet_ExtendsLeases()
    {
        Judge(Options.LongestAbsence + Moment).Extension.ShouldBe(LeaseExtension.LookLate);
        Judge(TimeSpan.FromSeconds(12.34)).Because.ShouldBe("this scheduler or its store was away: it looked 12.3 s ago");
        Judge(-Options.LongestAbsence - Moment).Extension.ShouldBe(LeaseExtension.LookLate);
    }

    [Fact]
    public void Judge_WhileOthersAreAway_ExtendsLeases_UntilTheyAreGone()
    {
        Judge(Moment, others: Options.LongestAbsence + Moment).ShouldBe(
            new LeaseVerdict(LeaseExtension.SchedulerAway, "another scheduler is away: s0"));
        Judge(Moment, others: [Options.LongestSchedulerAbsence, Moment, -Options.LongestAbsence - Moment]).ShouldBe(
            new LeaseVerdict(LeaseExtension.SchedulerAway, "other schedulers are away: s0, s2"));
        Judge(Moment, others: Options.LongestSchedulerAbsence + Moment).ShouldBe(LeaseVerdict.Expire);
    }

    [Fact]
    public void Options_ByDefault_GiveThreeTriesALease()
    {
        Options.LeaseDuration.ShouldBe(TimeSpan.FromSeconds(5));
        (Options.HeartbeatTimeout * 3).ShouldBeLessThanOrEqualTo(Options.LeaseDuration);
        (Options.HeartbeatInterval * 3).ShouldBeLessThanOrEqualTo(Options.LeaseDuration);
        (Options.LookInterval * 4).ShouldBeLessThanOrEqualTo(Options.LongestAbsence);
    }

    /// <summary>Nobody was there to see it go.</summary>
    [Fact]
    public void Judge_WhileOthersAreAway_SinceBeforeThisOneWas_ExtendsLeasesAsIfTheyHadJustGone()
    {
        var since = new SchedulerSighting("s0", TimeSpan.FromHours(1));

        LeaseRule.Judge(new LookFindings(Moment, false, Options.LongestSchedulerAbsence, [since]), Options).Extension
            .ShouldBe(LeaseExtension.SchedulerAway);
        LeaseRule.Judge(new LookFindings(Moment, false, Options.LongestSchedulerAbsence + Moment, [since]), Options)
            .ShouldBe(LeaseVerdict.Expire);
    }

    private static LeaseVerdict Judge(TimeSpan? sinceLastLook, bool storeFailed = false, params TimeSpan[] others) => LeaseRule.Judge(
        new LookFindings(
            sinceLastLook, storeFailed, TimeSpan.FromDays(1), [.. others.Select((ago, i) => new SchedulerSighting($"s{i}", ago))]),
        Options);
}
