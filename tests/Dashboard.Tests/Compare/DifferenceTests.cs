using Cluster.Contracts.V1;
using Cluster.Dashboard.Compare;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Compare;

public sealed class DifferenceTests
{
    [Fact]
    public void Between_TellsTheSettingsThatAreNotAllTheSame()
    {
        var specs = Enumerable.Range(0, 3).Select(_ => Some.Job("same").Spec).ToList();
        Difference.Between(specs).ShouldBeEmpty();
        Difference.Between([]).ShouldBeEmpty();

        specs[1].Given.Clear();
        specs[1].Hyperparameters.Optimizer.LearningRate = 0.5;
        specs[2].Model.Options["init"] = new OptionValue { StringValue = "he" };
        specs[0].Model.Options.Remove("init");

        var differences = Difference.Between(specs).ToDictionary(difference => difference.Setting, difference => difference.Values);
        differences.Keys.ShouldBe(["hyperparameters.optimizer.learningRate", "model.options.init"], ignoreOrder: true);
        differences["hyperparameters.optimizer.learningRate"].ShouldBe(["0.002", "0.5", "0.002"]);
        differences["model.options.init"][0].ShouldBeNull();
        differences["model.options.init"][2].ShouldBe("he");
    }
}
