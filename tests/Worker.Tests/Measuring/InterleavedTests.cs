using Cluster.Bench.Measuring;

namespace Cluster.Worker.Tests.Measuring;

public sealed class InterleavedTests
{
    [Fact]
    public async Task Contestants_TakeTurns_InAnOrderThatRotates()
    {
        var turns = new List<string>();

        var medians = await Interleaved.MediansAsync(rounds: 3, Contestant("a", turns), Contestant("b", turns));

        turns.ShouldBe(["a", "b", "b", "a", "a", "b"]);
        medians.ShouldBe([4, 3]); // of the turns 1, 4, 5 and 2, 3, 6
    }

    [Theory]
    [InlineData(0, 9, 3)] // as few as have a median
    [InlineData(0, 2, 2)]
    [InlineData(100_000, 5, 5)]
    public async Task Rounds_EndWithTheirBudget(int budgetSeconds, int rounds, int done)
    {
        var turns = new List<string>();

        var (medians, count) = await Interleaved.MediansAsync(rounds, TimeSpan.FromSeconds(budgetSeconds), [Contestant("a", turns)]);

        (count, turns.Count, medians.Length).ShouldBe((done, done, 1));
    }

    private static Func<Task<double>> Contestant(string name, List<string> turns) => () =>
    {
        turns.Add(name);
        return Task.FromResult((double)turns.Count);
    };
}
