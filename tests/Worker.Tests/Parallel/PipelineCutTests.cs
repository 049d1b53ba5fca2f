using Cluster.Models;
using Cluster.Worker.Parallel;

namespace Cluster.Worker.Tests.Parallel;

public sealed class PipelineCutTests
{
    [Fact]
    public void Balance_OfCostsThatDivide_CutsThemEvenly()
    {
        PipelineCut.Balance([1, 2, 3, 3, 2, 1], 2).ShouldBe([0, 3]);
        PipelineCut.Balance([3, 1, 1, 1, 1, 1, 1], 3).ShouldBe([0, 1, 4]);
        PipelineCut.Balance([1, 1, 1], 3).ShouldBe([0, 1, 2]);
    }

    [Fact]
    public void Balance_HasNoSlowerStageThanTheBestOfAllCuts()
    {
        for (var trial = 0; trial < 200; trial++)
        {
            var key = CounterRandom.Key(20261122, (ulong)trial);
            var costs = Enumerable.Range(0, 1 + CounterRandom.Below(key, 0, 9))
                .Select(unit => (double)CounterRandom.Below(key, (ulong)unit + 2, 20)).ToList();
            var stages = 1 + CounterRandom.Below(key, 1, costs.Count);

            var cut = PipelineCut.Balance(costs, stages);

            cut[0].ShouldBe(0);
            cut.Length.ShouldBe(stages);
            cut.Append(costs.Count).Zip(cut.Skip(1).Append(costs.Count)).Take(stages).ShouldAllBe(stage => stage.First < stage.Second);
            Slowest(costs, cut).ShouldBe(AllCuts(costs.Count, stages).Min(other => Slowest(costs, other)));
        }
    }

    [Fact]
    public void Balance_OfMoreStagesThanUnits_IsRefused() =>
        Should.Throw<ArgumentOutOfRangeException>(() => PipelineCut.Balance([1, 2], 3)).Message.ShouldContain("2 units make 1 to 2 stages");

    [Theory]
    [InlineData(4, 6)]
    [InlineData(4, 2)]
    [InlineData(1, 3)]
    public void Schedule_OfAllStages_CanRunAndHoldsNoMoreThanItMust(int stages, int microBatches)
    {
        var queues = Enumerable.Range(0, stages).Select(stage => new Queue<StagePass>(PipelineSchedule.Of(stage, stages, microBatches)))
            .ToList();
        var done = new HashSet<(int Stage, StagePass Pass)>();
        for (var progress = true; progress;)
        {
            progress = false;
            for (var stage = 0; stage < stages; stage++)
            {
                if (!queues[stage].TryPeek(out var pass) || !Ready(stage, pass))
                    continue;
                done.Add((stage, queues[stage].Dequeue()));
                progress = true;
                done.Count(d => d.Stage == stage && d.Pass.IsForward)
                    .ShouldBeLessThanOrEqualTo(done.Count(d => d.Stage == stage && !d.Pass.IsForward) + stages - stage);
            }
        }

        queues.ShouldAllBe(queue => queue.Count == 0); // nobody waits for somebody who waits for them
        done.Count.ShouldBe(2 * stages * microBatches);

        bool Ready(int stage, StagePass pass) => pass.IsForward
            ? stage == 0 || done.Contains((stage - 1, pass))
            : done.Contains((stage, pass with { IsForward = true })) && (stage == stages - 1 || done.Contains((stage + 1, pass)));
    }

    private static double Slowest(List<double> costs, IReadOnlyList<int> cut) =>
        cut.Zip(cut.Skip(1).Append(costs.Count)).Max(stage => costs[stage.First..stage.Second].Sum());

    private static IEnumerable<int[]> AllCuts(int units, int stages) => stages == 1
        ? [[0]]
        : Enumerable.Range(stages - 1, units - stages + 1)
            .SelectMany(last => AllCuts(last, stages - 1).Select(cut => (int[])[.. cut, last]));
}
