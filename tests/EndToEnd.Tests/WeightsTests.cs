using System.Text.Json;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests;

/// <summary>Weights on their way out of the cluster and back into it, and the jobs that they serve.</summary>
public sealed class WeightsTests(LocalCluster cluster) : IDisposable
{
    private const string TestOnly = "data: {name: fashion-mnist, validationSamples: 0}";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-weights-");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task TrainedWeights_AreEvaluated_PredictedWith_FineTuned_Downloaded_AndImported()
    {
        // In the layout of the jobs that evaluate.
        var trained = await cluster.SubmitAsync(
            JobFiles.LeNet("weights", epochs: 1, trainSamples: 2048, memoryFormat: MemoryFormats.Contiguous), Cancelled);
        var accuracy = (await cluster.WaitForSuccessAsync(trained.Id, Cancelled)).Progress.TestAccuracy;
        accuracy.ShouldBeGreaterThan(0.3); // chance is 0.1

        var evaluated = await DoneAsync(JobTasks.Evaluate, $"{{job: {trained.Id}}}", devices: 2, TestOnly);
        evaluated.Progress.TestAccuracy.ShouldBe(accuracy); // the same batches through the same weights
        evaluated.Spec.InitFrom.Checkpoint.Length.ShouldBe(36);

        var predicted = await DoneAsync(JobTasks.Predict, $"{{job: {trained.Id[..8]}, which: best}}", devices: 2, "data: fashion-mnist");
        var rows = (await CsvAsync(predicted.Id)).ToList();
        rows.Select(row => row[0]).ShouldBe(Enumerable.Range(0, 10_000).Select(i => $"{i}"));
        rows.Average(row => row[1] == row[2] ? 1.0 : 0).ShouldBe(accuracy, 1e-9);

        var tuned = await DoneAsync(JobTasks.Train, $"{{job: {trained.Id}, newHead: true}}", devices: 1, "data: synthetic");
        tuned.Progress.Steps.ShouldBe(5);

        var file = Path.Combine(_folder.FullName, "lenet.safetensors");
        (await cluster.RunAsync(["checkpoint", "download", evaluated.Spec.InitFrom.Checkpoint, "--output", file], Cancelled)).MustSucceed();
        (await PythonAsync("examples/weights.py", file)).ShouldContain("conv1.weight 6×1×5×5 float32\n");
        var imported = await cluster.RunAsync(
            ["checkpoint", "import", file, "--model", "lenet5", "--option", "activation=tanh", "--json"], Cancelled);
        imported.MustSucceed();
        var id = JsonDocument.Parse(imported.Output).RootElement.GetProperty("id").GetString();
        // Over one device the same sums are taken in another order, which may turn a sample on the edge.
        (await DoneAsync(JobTasks.Evaluate, $"{{checkpoint: {id}}}", devices: 1, TestOnly)).Progress.TestAccuracy.ShouldBe(accuracy, 3e-4);
    }

    private static async Task<string> PythonAsync(params string[] arguments) => (await Shell.RunAsync(
        "/usr/bin/python3", arguments, new Dictionary<string, string> { ["PYTHONIOENCODING"] = "utf-8" }, Cancelled)).MustSucceed().Output;

    private async Task<Job> DoneAsync(string task, string initFrom, int devices, string settings)
    {
        var job = await cluster.SubmitAsync(
            $$"""
            name: {{task}}
            model: {name: lenet5}
            {{settings}}
            hyperparameters: {globalBatchSize: 64{{(task == JobTasks.Train ? ", maxSteps: 5" : "")}}}
            resources: {devices: {{devices}}}
            task: {{task}}
            initFrom: {{initFrom}}
            """, Cancelled);
        return await cluster.WaitForSuccessAsync(job.Id, Cancelled);
    }

    private async Task<IEnumerable<string[]>> CsvAsync(string job)
    {
        var file = Path.Combine(_folder.FullName, "predictions.csv");
        (await cluster.RunAsync(["run", "predictions", job, "--output", file], Cancelled)).MustSucceed();
        var lines = await File.ReadAllLinesAsync(file, Cancelled);
        lines[0].ShouldBe(
            "index,label,predicted,class1,probability1,class2,probability2,class3,probability3,class4,probability4,class5,probability5");
        return lines.Skip(1).Select(line => line.Split(','));
    }
}
