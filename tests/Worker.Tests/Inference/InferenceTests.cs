using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Tests.Training;

namespace Cluster.Worker.Tests.Inference;

/// <summary>Jobs with weights given: what they report and store, over one and two ranks.</summary>
public sealed class InferenceTests
{
    private static CancellationToken End => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.Bfloat16)]
    public async Task Evaluate_OfACheckpoint_GivesTheFiguresThatItsRunGave(Precision precision)
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        var training = TestRuns.AMobileNetJob(spec => spec.Hyperparameters.Precision = precision);
        await TestRuns.RunAsync(trained, training);
        using var cluster = new InMemoryCluster(worldSize: 1, inherited: trained);
        var spec = Job(JobTasks.Evaluate, trained, TestRuns.AMobileNetJob);
        spec.Hyperparameters.Precision = precision;

        var outcome = (await TestRuns.RunAsync(cluster, spec)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        foreach (var name in (string[])[MetricNames.ValidationLoss, MetricNames.ValidationAccuracy, MetricNames.TestLoss,
            MetricNames.TestAccuracy])
            // bit for bit: the same batches through the same weights
            cluster.Series(name).ShouldBe(new SortedDictionary<long, double> { [1] = trained.Series(name)[40] }, name);
        var progress = cluster.Reports.Last(r => r.Report.Progress is not null).Report.Progress;
        (progress.Step, progress.Steps, progress.Epochs).ShouldBe((53, 53, 0)); // 1,000 test and 50 validation samples in batches of 20
        progress.TestAccuracy.ShouldBe(trained.Series(MetricNames.TestAccuracy)[40]);
        cluster.CheckpointIds.ShouldBeEmpty();
        cluster.Reports.Count(r => r.Report.Started).ShouldBe(1);
    }

    /// <summary>Batch normalisation and a last batch of which one rank gets nothing included.</summary>
    [Fact]
    public async Task Evaluate_OverTwoRanks_EqualsOne()
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AMobileNetJob(spec => spec.Hyperparameters.MaxSteps = 5));
        var spec = Job(JobTasks.Evaluate, trained, TestRuns.AMobileNetJob);
        spec.Hyperparameters.GlobalBatchSize = 999;
        using var one = new InMemoryCluster(worldSize: 1, inherited: trained);
        await TestRuns.RunAsync(one, spec);
        using var two = new InMemoryCluster(worldSize: 2, inherited: trained);

        var outcomes = await TestRuns.RunAsync(two, spec, worldSize: 2);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        two.Series(MetricNames.TestAccuracy).ShouldBe(one.Series(MetricNames.TestAccuracy));
        // Sums of a thousand float32 losses in another order.
        two.Series(MetricNames.TestLoss)[1].ShouldBe(one.Series(MetricNames.TestLoss)[1], 1e-5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Predict_WritesARowForEachSample(int worldSize)
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AJob());
        using var cluster = new InMemoryCluster(worldSize, inherited: trained);

        var outcomes = await TestRuns.RunAsync(cluster, Job(JobTasks.Predict, trained, TestRuns.AJob), worldSize);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        var ranks = await Task.WhenAll(Enumerable.Range(0, worldSize).Select(rank => RowsAsync(cluster, rank)));
        ranks.ShouldAllBe(rows => rows.Zip(rows.Skip(1)).All(pair => pair.First.Index < pair.Second.Index));
        var rows = ranks.SelectMany(rank => rank).OrderBy(row => row.Index).ToList();
        rows.Select(row => row.Index).ShouldBe(Enumerable.Range(0, 1000).Select(i => (long)i));
        rows.ShouldAllBe(
            row => row.Likeliest.Count == 5 && row.Likeliest[0].Class == row.Predicted && row.Likeliest.Sum(l => l.Probability) <= 1.0001f);
        rows.ShouldAllBe(row => row.Likeliest.Zip(row.Likeliest.Skip(1)).All(pair => pair.First.Probability >= pair.Second.Probability));
        rows.Average(row => row.Predicted == row.Label ? 1.0 : 0).ShouldBe(trained.Series(MetricNames.TestAccuracy)[40], 1e-9);
    }

    [Theory]
    [InlineData(JobTasks.Evaluate)]
    [InlineData(JobTasks.Predict)]
    public async Task AStopOfOneRank_EndsAllWithNothingStored(string task)
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AJob(spec => spec.Hyperparameters.MaxSteps = 1));
        using var cluster = new InMemoryCluster(worldSize: 2, inherited: trained);

        var outcomes = await TestRuns.RunAsync(
            cluster, Job(task, trained, TestRuns.AJob), 2, stop: stop => stop.Request("preempted", TimeSpan.FromMinutes(1)));

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Stopped);
        outcomes[^1].Message.ShouldContain("preempted");
        cluster.CheckpointIds.ShouldBeEmpty();
        cluster.Series(MetricNames.TestAccuracy).ShouldBeEmpty();
    }

    private static JobSpec Job(string task, InMemoryCluster trained, Func<Action<JobSpec>?, JobSpec> job) => job(spec =>
    {
        spec.Task = new TaskSpec { Name = task, Part = DataPart.Test };
        spec.InitFrom = new InitFrom { Checkpoint = trained.CheckpointIds.MaxBy(pair => pair.Key).Value };
    });

    private static async Task<List<Prediction>> RowsAsync(InMemoryCluster cluster, int rank)
    {
        var reader = await CheckpointReader.OpenAsync(cluster.Link(0), cluster.CheckpointIds.Single().Value, End);
        reader.Manifest.Kind.ShouldBe(ArtifactKind.Predictions);
        using var file = new MemoryStream(await reader.ReadFileAsync(CheckpointLayout.PredictionsFileOf(rank), End));
        var rows = new List<Prediction>();
        while (file.Position < file.Length)
            rows.Add(Prediction.Parser.ParseDelimitedFrom(file));
        return rows;
    }
}
