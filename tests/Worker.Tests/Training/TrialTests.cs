using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Tests.Training;

/// <summary>A trial trains some epochs, and the rest when that has been decided.</summary>
public sealed class TrialTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Trial_InThreeParts_EqualsItsUndisturbedRun(int ranks)
    {
        using var whole = new InMemoryCluster(ranks);
        await TestRuns.RunAsync(whole, AJob(), ranks);
        using var first = new InMemoryCluster(ranks);
        using var second = new InMemoryCluster(ranks, first);
        using var third = new InMemoryCluster(ranks, second);

        var outcomes = await TestRuns.RunAsync(first, AJob(), ranks, trainUntil: 1);
        var checkpoint = first.CheckpointIds.ShouldHaveSingleItem();
        checkpoint.Key.ShouldBe(20, "it is that of the epoch's end");
        first.Series(MetricNames.ValidationAccuracy).Keys.ShouldBe([20]);
        first.Series(MetricNames.TestAccuracy).ShouldBeEmpty("the test is for who trains to the end");
        outcomes = [.. outcomes, .. await TestRuns.RunAsync(second, AJob(), ranks, resumeFrom: checkpoint.Value, trainUntil: 3)];
        outcomes = [.. outcomes, .. await TestRuns.RunAsync(third, AJob(), ranks, resumeFrom: second.CheckpointIds[60], trainUntil: 4)];

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        foreach (var name in new[] { MetricNames.TrainLoss, MetricNames.TrainLearningRate, MetricNames.ValidationLoss })
        {
            first.Series(name).Concat(second.Series(name)).Concat(third.Series(name)).ShouldBe(whole.Series(name), name);
        }

        third.Series(MetricNames.TestLoss).ShouldBe(whole.Series(MetricNames.TestLoss));
    }

    [Fact]
    public async Task Trial_LaunchedWhereItIsAlready_IsDoneAtOnce()
    {
        using var first = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(first, AJob(), trainUntil: 1);
        using var again = new InMemoryCluster(worldSize: 1, first);

        var outcome = (await TestRuns.RunAsync(again, AJob(), resumeFrom: first.CheckpointIds[20], trainUntil: 1)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done);
        again.Series(MetricNames.TrainLoss).ShouldBeEmpty();
    }

    /// <summary>Of 20 steps an epoch; checkpoints only where a part ends.</summary>
    private static JobSpec AJob() => TestRuns.AJob(spec =>
    {
        spec.Hyperparameters.Epochs = 4;
        spec.Checkpoints = new CheckpointPolicy { EveryEpochs = 0 };
    });
}
