namespace Cluster.Models.Tests;

public sealed class CounterRandomTests
{
    [Fact]
    public void Bits_AreSplitMix64()
    {
        // The published generator's first outputs from state 1234567 (Vigna, splitmix64.c; also Rosetta Code's check values).
        ulong[] published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];

        Enumerable.Range(0, 5).Select(i => CounterRandom.Bits(1234567, (ulong)i)).ShouldBe(published);
    }

    [Fact]
    public void Key_DependsOnEveryWordAndItsPlace()
    {
        ulong[] keys =
        [
            CounterRandom.Key(1, 2), CounterRandom.Key(2, 1), CounterRandom.Key(1, 2, 0), CounterRandom.Key(0, 1, 2), CounterRandom.Key(1),
            CounterRandom.Key(CounterRandom.Word("fc6.weight")), CounterRandom.Key(CounterRandom.Word("fc7.weight")),
        ];

        keys.Distinct().Count().ShouldBe(keys.Length);
    }

    [Fact]
    public void Normal_HasTheMomentsOfANormal()
    {
        const int Draws = 100_000;
        var values = Enumerable.Range(0, Draws).Select(i => CounterRandom.Normal(99, (ulong)i)).ToArray();

        // Five standard errors: 1/√n of the mean, √(2/n) of the variance, √(96/n) of the fourth moment.
        values.Average().ShouldBe(0, 5 / Math.Sqrt(Draws));
        values.Average(v => v * v).ShouldBe(1, 5 * Math.Sqrt(2.0 / Draws));
        values.Average(v => v * v * v * v).ShouldBe(3, 5 * Math.Sqrt(96.0 / Draws));
    }

    [Fact]
    public void Below_ReachesEveryValueEquallyOften()
    {
        const int Draws = 70_000;
        var counts = Enumerable.Range(0, Draws).GroupBy(i => CounterRandom.Below(3, (ulong)i, 7)).ToDictionary(g => g.Key, g => g.Count());

        counts.Keys.Order().ShouldBe(Enumerable.Range(0, 7));
        foreach (var count in counts.Values)
            ((double)count).ShouldBe(Draws / 7.0, 5 * Math.Sqrt(Draws / 7.0)); // five standard errors of a binomial count
    }
}
