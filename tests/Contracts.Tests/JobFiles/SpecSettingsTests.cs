using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class SpecSettingsTests
{
    private static readonly JobSpec Spec = JobFile.Parse("""
        model: {name: alexnet, options: {width: 0.5}}
        data: fashion-mnist
        seed: 7
        hyperparameters: {optimizer: {name: sgd, learningRate: 0.1}}
        labels: {team: vision, cohort: "3"}
        """);

    private static Run Run => new()
    {
        Model = Spec.Model,
        Data = Spec.Data,
        Hyperparameters = Spec.Hyperparameters,
        Parallelism = Spec.Parallelism,
        Seed = Spec.Seed,
        Labels = { Spec.Labels },
    };

    [Fact]
    public void Run_HasTheSettingsOfItsJob_ThatItKnows()
    {
        var ofRun = SpecSettings.Of(Run).ToList();

        ofRun.ShouldBe(SpecSettings.Of(Spec).Where(setting => SpecSettings.IsKnownToRuns(setting.Path)));
        ofRun.Select(setting => setting.Path).ShouldContain("labels.team");
        ofRun.ShouldNotContain(setting => setting.Path.StartsWith("resources.", StringComparison.Ordinal));
        foreach (var setting in ofRun)
            SpecSettings.Find(Run, setting.Path).ShouldBe(setting);
    }

    [Theory]
    [InlineData("hyperparameters.optimizer.beta1")] // of another optimizer
    [InlineData("model.options.lrn-or-so")]
    [InlineData("labels.nobody")]
    [InlineData("resources.devices")] // a run does not know it
    public void SettingThatARunHasNot_IsNotFound(string path) => SpecSettings.Find(Run, path).ShouldBeNull();

    [Fact]
    public void RunWhoseJobCannotBeRead_HasNone()
    {
        SpecSettings.Of(new Run()).ShouldBeEmpty();
        SpecSettings.Find(new Run(), "model.name").ShouldBeNull();
    }

    [Theory]
    [InlineData("lr", "hyperparameters.optimizer.learningRate")]
    [InlineData("LearningRate", "hyperparameters.optimizer.learningRate")]
    [InlineData("optimizer", "hyperparameters.optimizer.name")]
    [InlineData("model", "model.name")]
    [InlineData("hyperparameters.epochs", "hyperparameters.epochs")]
    public void Setting_IsKnownByItsPath_ItsEnd_AndShortWords(string name, string path) => SpecSettings.Names[name].ShouldBe(path);

    [Fact]
    public void Paths_AreInAJobFilesOrder_WithLabelsBehind() => SpecSettings
        .InOrder(["labels.b", "seed", "labels.a", "model.options.width", "data.name", "seed", "unknown"])
        .ShouldBe(SpecSettings.InOrder(["seed", "model.options.width", "data.name"]).Concat(["labels.a", "labels.b"]));
}
