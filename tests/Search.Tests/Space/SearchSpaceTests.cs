using System.Collections.Immutable;
using System.Globalization;
using Cluster.Search.Space;

namespace Cluster.Search.Tests.Space;

public sealed class SearchSpaceTests
{
    private static readonly Dimension Rate = new LogDimension(-4, -1, 10, Count: 4);
    private static readonly Dimension Batch = new CategoricalDimension([SettingValue.Of(32), SettingValue.Of(64)]);
    private static readonly Dimension Epochs = new IntDimension(1, 3, Count: 10);
    private static readonly Dimension Decay = new DoubleDimension(0, 0.5, Count: 3);
    private static readonly Dimension Name = new ConstDimension(new SettingValue("adam"));

    [Fact]
    public void Sample_DependsOnSeedTrialAndPathAlone()
    {
        var space = Space(("rate", Rate), ("batch", Batch), ("decay", Decay));
        var other = Space(("decay", Decay), ("epochs", Epochs), ("rate", Rate));

        var first = space.Sample(7, 41);
        space.Sample(7, 0);
        space.Sample(7, 41).ShouldBe(first);
        other.Sample(7, 41).Single(each => each.Path == "rate").ShouldBe(first[0]);
        space.Sample(8, 41).ShouldNotBe(first);
        space.Sample(7, 42).ShouldNotBe(first);
    }

    /// <summary>The values that a seed gives are part of what an experiment is: other ones would be another experiment.</summary>
    [Fact]
    public void Sample_OfASeed_IsTheSameForEver() =>
        Enumerable.Range(0, 3).Select(trial => Text(Space(("rate", Rate), ("batch", Batch), ("epochs", Epochs)).Sample(1, trial)))
            .ShouldBe(["0.056832 64 1", "0.0432645 64 1", "0.00145444 32 3"]);

    [Fact]
    public void Sample_StaysWithinItsRange_AndGoesAllOverIt()
    {
        var space = Space(("rate", Rate), ("batch", Batch), ("epochs", Epochs), ("decay", Decay), ("name", Name));

        var trials = Enumerable.Range(0, 1000).Select(trial => space.Sample(3, trial)).ToList();

        var rates = trials.ConvertAll(trial => Number(trial[0]));
        rates.ShouldAllBe(rate => rate >= 1e-4 && rate <= 1e-1);
        // In each decade a third of them: 333, give or take 5 deviations of 15.
        for (var decade = -4; decade < -1; decade++)
            rates.Count(rate => rate >= Math.Pow(10, decade) && rate < Math.Pow(10, decade + 1)).ShouldBeInRange(258, 408);
        trials.Count(trial => trial[1].Value.Text == "32").ShouldBeInRange(421, 579);
        trials.Select(trial => trial[2].Value.Text).Distinct().Order(StringComparer.Ordinal).ShouldBe(["1", "2", "3"]);
        trials.ShouldAllBe(trial => Number(trial[3]) >= 0 && Number(trial[3]) <= 0.5);
        trials.ShouldAllBe(trial => trial[4].Value.Text == "adam");
    }

    [Fact]
    public void Grid_HasEveryCombination_TheLastFastest()
    {
        var space = Space(("batch", Batch), ("decay", Decay));

        space.GridSize.ShouldBe(6);
        Enumerable.Range(0, 6).Select(trial => Text(space.GridPoint(trial))).ShouldBe(
            ["32 0", "32 0.25", "32 0.5", "64 0", "64 0.25", "64 0.5"]);
    }

    [Fact]
    public void Grid_OfADimension_HasBothEnds()
    {
        Values(Rate).ShouldBe("0.0001 0.001 0.01 0.1");
        Values(Epochs).ShouldBe("1 2 3");
        Values(new IntDimension(1, 9, Count: 3)).ShouldBe("1 5 9");
        Values(new IntDimension(1, 9, Count: 1)).ShouldBe("5");
        Values(new DoubleDimension(0, 1, Count: 1)).ShouldBe("0.5");
        Values(Name).ShouldBe("adam");

        static string Values(Dimension dimension) => string.Join(' ', dimension.Grid().Select(value => value.Text));
    }

    private static SearchSpace Space(params (string Path, Dimension Dimension)[] dimensions) =>
        new([.. dimensions.Select(each => KeyValuePair.Create(each.Path, each.Dimension))]);

    private static string Text(ImmutableArray<Setting> settings) => string.Join(' ', settings.Select(setting => setting.Value.Text));

    private static double Number(Setting setting) => double.Parse(setting.Value.Text, CultureInfo.InvariantCulture);
}
