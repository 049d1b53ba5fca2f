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

        groups.Select(group => (group.Value, group.Runs, group.Filter)).ShouldBe(
            [("lenet5", 3, "model=\"lenet5\""), ("", 1, "model=\"\""), ("vgg11", 1, "model=\"vgg11\"")]);
        groups.Select(group => group.Spreads.Single()).Select(spread => (spread.Mean, spread.Lowest, spread.Highest, spread.Odd))
            .ShouldBe([((double?)2, 1, 3, 1), (null, 0, 0, 0), (null, 0, 0, 1)]);
    }

    [Theory]
    [InlineData("lr")]
    [InlineData("model")]
    [InlineData("seed")]
    public void FilterOfAGroup_FindsItsRuns(string by)
    {
        var runs = new[] { Run("lenet5", 1), Run("vgg11", 2) };
        runs[0].Hyperparameters.Optimizer.LearningRate = 0.1 + 0.2;
        runs[0].Seed = 7;

        foreach (var group in RunGroups.Of(runs, RunColumns.Find(by)!, []))
        {
            var filter = RunFilter.Parse(group.Filter);
            filter.Fault.ShouldBeNull();
            runs.Count(filter.Matches).ShouldBe(group.Runs);
        }
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
