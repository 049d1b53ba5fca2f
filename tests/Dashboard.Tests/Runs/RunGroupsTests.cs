using Cluster.Contracts.V1;
using Cluster.Dashboard.Runs;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Runs;

public sealed class RunGroupsTests
{
    [Fact]
    public void Groups_HaveMeansAndExtremes_AndSayWhatIsNotFinite()
    {
        var groups = RunGroups.Of(
            [Run("lenet5", 1), Run("lenet5", 3), Run("lenet5", double.NaN), Run("vgg11", double.NaN), Run("", null)],
            RunColumns.Find("model")!, [RunColumns.Find("owner")!, RunColumns.Find("loss")!]);

        groups.Select(group => (group.Value, group.Runs, group.Condition)).ShouldBe(
            [("lenet5", 3, "model = 'lenet5'"), ("", 1, "model is null"), ("vgg11", 1, "model = 'vgg11'")]);
        groups.Select(group => group.Spreads.Single()).Select(spread => (spread.Mean, spread.Lowest, spread.Highest, spread.Odd))
            .ShouldBe([((double?)2, 1, 3, 1), (null, 0, 0, 0), (null, 0, 0, 1)]);
    }

    [Theory]
    [InlineData("lr", "lr = 0.30000000000000004")]
    [InlineData("name", "name = 'it''s'")]
    [InlineData("seed", "seed = 7")]
    [InlineData("nesterov", "hyperparameters.optimizer.nesterov = false")]
    [InlineData("loss", "")] // NaN is no number that a condition can name
    [InlineData("testAccuracy", "testAccuracy is null")]
    [InlineData("variant", "variant = ''")]
    [InlineData("experiment", "experiment is null")]
    [InlineData("labels.team", "labels.team is null")]
    [InlineData("created", "")]
    public void Group_HasTheConditionThatFindsItsRuns(string by, string condition)
    {
        var run = Run("lenet5", double.NaN);
        (run.Name, run.Seed) = ("it's", 7);
        (run.Hyperparameters.Optimizer.Name, run.Hyperparameters.Optimizer.LearningRate) = ("sgd", 0.1 + 0.2);

        RunGroups.Of([run], RunColumns.Find(by)!, []).ShouldHaveSingleItem().Condition.ShouldBe(condition);
    }

    private static Run Run(string model, double? loss)
    {
        var run = Some.Run(Some.Job("a", JobState.Succeeded));
        run.Model.Name = model;
        run.Progress.ClearTrainLoss();
        if (loss is { } value)
            run.Progress.TrainLoss = value;
        return run;
    }
}
