using System.CommandLine;
using Cluster.Bench.Measuring;
using Cluster.Bench.Zoo;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Trainer;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Bench.Search;

/// <summary><c>bench search-record</c>: trains every setting of a grid to its end, and keeps what each epoch came to.</summary>
internal static class SearchRecordVerb
{
    private const double Chance = 0.1; // of ten classes

    public static Command Build()
    {
        var output = new Argument<string>("FILE") { Description = "where the table goes; rows that it has are not recorded again" };
        var images = new Option<int>("--images") { Description = "training pictures", DefaultValueFactory = _ => 10_000 };
        var epochs = new Option<int>("--epochs") { Description = "of each setting", DefaultValueFactory = _ => 27 };
        var small = new Option<bool>("--small") { Description = "81 settings, without weight decay, instead of 243" };
        var data = new Option<string>("--data-root")
        {
            Description = "where the data sets are",
            DefaultValueFactory = _ => new AgentOptions().DataRoot,
        };
        var command = new Command("search-record", "trains LeNet-5 with every setting of a grid: hours for the table of search")
        {
            output, images, epochs, small, data,
        };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            arguments.GetRequiredValue(output), Yaml(
                arguments.GetValue(images), arguments.GetValue(epochs), arguments.GetValue(small) ? "[0]" : "[0, 0.0005, 0.005]"),
            arguments.GetValue(data)!, cancellationToken));
        return command;
    }

    private static string Yaml(int images, int epochs, string weightDecays) =>
        $$"""
        name: search
        model: {name: lenet5, options: {activation: relu, init: he} }
        data: {name: fashion-mnist, trainSamples: {{images}}, validationSamples: 10000}
        searcher: grid
        hyperparameters:
          epochs: {{epochs}}
          memoryFormat: contiguous
          globalBatchSize: {type: categorical, vals: [32, 64, 128]}
          optimizer:
            learningRate: {type: log, minval: -4, maxval: -0.5, count: 9}
            momentum: {type: categorical, vals: [0, 0.5, 0.9]}
            weightDecay: {type: categorical, vals: {{weightDecays}}}
        """;

    private static async Task RunAsync(string path, string yaml, string data, CancellationToken cancellationToken)
    {
        var plan = ExperimentFile.ParseSearch(yaml);
        var first = plan.Trial(0).Spec;
        var table = File.Exists(path)
            ? SearchTable.Read(path)
            : new SearchTable(
                $"LeNet-5 on {first.Data.TrainSamples} pictures of Fashion-MNIST, {plan.Policy.MostTrials} settings, "
                    + $"{first.Hyperparameters.Epochs} epochs; accuracy on {first.Data.ValidationSamples} others after each epoch", []);
        for (var trial = table.Rows.Count; trial < plan.Policy.MostTrials; trial++)
        {
            var (name, spec) = plan.Trial(trial);
            var accuracies = await TrainAsync(spec, data, cancellationToken);
            table = table with { Rows = [.. table.Rows, new SearchRow(name, accuracies)] };
            table.Write(path);
            Console.Error.WriteLine($"{trial + 1} of {plan.Policy.MostTrials}: {name}: {accuracies[^1]:P1}");
        }
    }

    private static async Task<double[]> TrainAsync(JobSpec spec, string data, CancellationToken cancellationToken)
    {
        var accuracies = Enumerable.Repeat(Chance, spec.Hyperparameters.Epochs).ToArray();
        var link = new BenchTrainerLink
        {
            Measured = point =>
            {
                if (point.Name == MetricNames.ValidationAccuracy)
                    accuracies[point.Epoch - 1] = point.Value;
            },
        };
        using var stop = new TrainerStop(TimeProvider.System);
        await using var context = new TrainerContext(
            ZooTrainer.Launch(spec, threads: 1, data), link, stop, NullLoggerFactory.Instance, TimeProvider.System);
        var outcome = await TrainingThread.Run(() => new TrainingSession().Run(context, cancellationToken));
        // One whose loss is no number any more stays at chance.
        if (outcome.ExitCode is not (TrainerExit.Done or TrainerExit.Misconfigured))
            throw new InvalidOperationException($"training ended with exit code {outcome.ExitCode}: {outcome.Message}");
        await context.Reporter.FlushAsync(cancellationToken);
        return accuracies;
    }
}
