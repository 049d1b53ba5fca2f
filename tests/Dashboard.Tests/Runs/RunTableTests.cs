using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Runs;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Runs;

public sealed class RunTableTests
{
    [Fact]
    public void EverySettingIsAColumn_ThatIsShownWhereRunsDifferInIt()
    {
        var table = new RunTable();
        table.Add([Some.Run(Some.Job("a", JobState.Succeeded))]);
        table.Columns.ShouldContain(column => column.Key == "hyperparameters.optimizer.weightDecay");
        table.Choice.Shown.ShouldNotContain("hyperparameters.optimizer.weightDecay");
        table.Choice.Shown.ShouldNotContain("model.options.activation");

        table.Add([Some.Run(Some.Job("b", JobState.Succeeded, change: job =>
        {
            job.Spec.Hyperparameters.Optimizer.WeightDecay = 0.25;
            job.Spec.Model.Options["activation"] = new OptionValue { StringValue = "tanh" };
            job.Spec.Labels["team"] = "vision";
            (job.ExperimentId, job.Variant) = ($"{Guid.NewGuid():D}", "decayed");
        }))]);

        foreach (var key in new[] { "hyperparameters.optimizer.weightDecay", "labels.team", "experiment", "variant", "lr" })
            table.Choice.Shown.ShouldContain(key);
        foreach (var key in new[] { "hyperparameters.optimizer.beta1", "queue", "created" })
        {
            table.Choice.All.ShouldContain(key);
            table.Choice.Shown.ShouldNotContain(key);
        }

        var columns = table.Columns.Select(column => column.Key).ToList();
        columns[..9].ShouldBe(["name", "id", "state", "owner", "model", "data", "optimizer", "lr", "batch"]);
        columns.Distinct().Count().ShouldBe(columns.Count);
        var decay = table.Columns.Single(column => column.Key == "hyperparameters.optimizer.weightDecay");
        (decay.Title, decay.IsNumber, decay.Raw(table.Runs[1])).ShouldBe(("optimizer.weightDecay", true, "0.25"));
    }

    [Fact]
    public void RunWhoseJobCannotBeRead_HasNoSettings()
    {
        var table = new RunTable();

        table.Add([new Run { JobId = "1", Name = "lost", State = JobState.Failed }]);

        table.Columns.Select(column => column.Text(table.Runs[0])).Where(text => text.Length > 0).ShouldBe(["lost", "1", "failed"]);
    }

    [Theory]
    [InlineData("lr", "lr")]
    [InlineData("LEARNINGRATE", "lr")]
    [InlineData("hyperparameters.optimizer.learningRate", "lr")]
    [InlineData("weightDecay", "hyperparameters.optimizer.weightDecay")]
    [InlineData("labels.team", "labels.team")]
    [InlineData("validationAccuracy", "validationAccuracy")]
    [InlineData("labels.", null)]
    [InlineData("taste", null)]
    [InlineData("resources.devices", null)]
    public void Columns_AreFoundByTheNamesOfConditions(string name, string? key) =>
        (RunColumns.Find(name)?.Key).ShouldBe(key);

    /// <summary>What the scheduler calls them: docs/runs.md has its words, and settings have those of all that read job files.</summary>
    [Fact]
    public void NamesOfColumns_AreThoseOfConditions()
    {
        var documented = File.ReadAllText(Path.Combine(Repository.Root, "docs", "runs.md"));

        foreach (var column in RunColumns.Of([]).Where(column => column is { Path: null, Kind: not null }))
            documented.ShouldContain($"`{column.Key}`");
        foreach (var column in RunColumns.Of([]).Where(column => column.Path is not null))
            Contracts.JobFiles.SpecSettings.Names[column.Key].ShouldBe(column.Path);
    }
}
