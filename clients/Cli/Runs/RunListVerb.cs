using System.CommandLine;
using System.Globalization;
using Cluster.Cli.Jobs;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Runs;

/// <summary>run list: hyperparameters beside what came of them.</summary>
internal static class RunListVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var selection = new RunSelection(LimitOption.Usual);
        var command = verbs.Table(
            "list", "List runs, the newest first: what was set and what came of it.", selection.ListAsync,
            (context, listed) => Table(listed.Runs, context.Host.Time), listed => listed.NextPageToken);
        selection.AddTo(command);
        return command;
    }

    private static ColumnTable Table(IEnumerable<Run> runs, TimeProvider time)
    {
        var table = new ColumnTable(
            "RUN", "NAME", "MODEL", "DATA", "SPLIT", "BATCH", "OPTIMIZER", "RATE", "EPOCHS", "STATE", "LOSS", "VALIDATION", "TEST",
            "IMAGES/S", "TIME");
        foreach (var run in runs)
        {
            var (training, progress) = (run.Hyperparameters, run.Progress);
            table.Add(
                Words.Short(run.JobId), run.Name, run.Model.Name, run.Data.Name,
                $"{run.Parallelism.ToString().ToLowerInvariant()}×{Math.Max(run.Placement.Count, 1)}",
                $"{training.GlobalBatchSize}", training.Optimizer.Name,
                training.Optimizer.LearningRate.ToString("G4", CultureInfo.InvariantCulture),
                progress is { Epochs: > 0 } ? Words.Epoch(progress) : $"{training.Epochs}", run.State.Word(),
                progress is { HasTrainLoss: true } ? Words.Loss(progress.TrainLoss) : "",
                progress is { HasValidationAccuracy: true } ? Words.Percent(progress.ValidationAccuracy) : "",
                progress is { HasTestAccuracy: true } ? Words.Percent(progress.TestAccuracy) : "",
                progress is { HasSamplesPerSecond: true } ? Words.Rate(progress.SamplesPerSecond) : "",
                Words.RunTime(run.StartedAt, run.FinishedAt, time) is { } ran ? Words.Length(ran) : "");
        }

        return table;
    }
}
