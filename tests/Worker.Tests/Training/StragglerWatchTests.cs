using Cluster.Contracts.V1;
using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Training;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Worker.Tests.Training;

/// <summary>Ranks that are slow for long, by what they do themselves.</summary>
public sealed class StragglerWatchTests
{
    private static readonly JobSpec OverData = TestRuns.AJob();

    [Fact]
    public void Rank_ThatIsSlowThreeLooksInARow_IsNamed_AndThatItKeepsUpAgainIsToldOnce()
    {
        var told = Told(OverData, [1, 1.6, 1], looks: 4).Concat(Told(OverData, [1, 1.6, 1], looks: 3, then: [1, 1, 1])).ToArray();

        told[0].ShouldBeNull();
        told[1].ShouldBeNull();
        var slow = told[2].ShouldNotBeNull().Slow.ShouldHaveSingleItem();
        (slow.Rank, slow.StepSeconds, slow.OthersSeconds).ShouldBe((1, 1.6, 1));
        told[3].ShouldBeNull("it was told a moment ago");
        told[^1].ShouldNotBeNull().Slow.ShouldBeEmpty();
    }

    [Fact]
    public void Rank_ThatStaysSlow_IsNamedAgainEveryMinute() =>
        Told(OverData, [1, 2], looks: 9).Select(paces => paces?.Slow.Count ?? 0).ShouldBe([0, 0, 1, 0, 0, 0, 0, 0, 1]);

    /// <summary>Of all of them, of a little, and of so little that no person would notice.</summary>
    [Theory]
    [InlineData(2.0, 2.0, 2.0)]
    [InlineData(1.0, 1.4, 1.0)]
    [InlineData(0.004, 0.008, 0.004)]
    public void Slowness_ThatMakesNoStraggler_IsNotTold(double first, double second, double third) =>
        Told(OverData, [first, second, third], looks: 4).ShouldAllBe(paces => paces == null);

    /// <summary>The stages of a pipeline do not do the same, and a slice of one sample says little.</summary>
    [Fact]
    public void Ranks_WhoseWorkDiffers_AreNotCompared()
    {
        WantsLook(OverData).ShouldBeTrue();
        WantsLook(TestRuns.AJob(spec => spec.Parallelism = Parallelism.Pipeline)).ShouldBeFalse();
        WantsLook(TestRuns.AJob(spec => spec.Hyperparameters.GlobalBatchSize = 7)).ShouldBeFalse();
    }

    [Fact]
    public void Look_IsWantedByRank0_AfterAWhile_AndOnceThereIsAStep()
    {
        using var ranks = new Ranks("ab");
        ranks.Run(group =>
        {
            var time = new FakeTimeProvider();
            var watch = new StragglerWatch(OverData, group, time);
            watch.Note(TimeSpan.FromSeconds(1));
            watch.WantsLook.ShouldBeFalse();
            time.Advance(StragglerWatch.LookInterval);
            watch.WantsLook.ShouldBe(group.Rank == 0);
            watch.Look();
            time.Advance(StragglerWatch.LookInterval);
            watch.WantsLook.ShouldBeFalse("no step was made since");
        });
    }

    private static bool WantsLook(JobSpec spec)
    {
        using var ranks = new Ranks("ab");
        return ranks.Run(group =>
        {
            var time = new FakeTimeProvider();
            var watch = new StragglerWatch(spec, group, time);
            watch.Note(TimeSpan.FromSeconds(1));
            time.Advance(StragglerWatch.LookInterval);
            return watch.WantsLook;
        })[0];
    }

    /// <summary>What rank 0 tells after each look, where steps take ranks so many seconds.</summary>
    /// <param name="then">At one look more.</param>
    private static RankPaces?[] Told(JobSpec spec, double[] seconds, int looks, double[]? then = null)
    {
        using var ranks = new Ranks(new string('a', seconds.Length));
        return ranks.Run(group =>
        {
            var time = new FakeTimeProvider();
            var watch = new StragglerWatch(spec, group, time);
            var told = new List<RankPaces?>();
            foreach (var each in Enumerable.Repeat(seconds, looks).Concat(then is null ? [] : [then]))
            {
                time.Advance(StragglerWatch.LookInterval);
                watch.Note(TimeSpan.FromSeconds(each[group.Rank]));
                watch.Note(TimeSpan.FromSeconds(each[group.Rank]));
                told.Add(watch.Look());
            }

            return told.ToArray();
        })[0];
    }
}
