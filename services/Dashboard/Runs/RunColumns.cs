using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Runs;

/// <summary>A column of the table of runs.</summary>
/// <param name="Key">What filters and addresses call it.</param>
/// <param name="Number">Its value as a number; null where it is no number, or the run has none.</param>
/// <param name="Show">Such a number for people.</param>
public sealed record RunColumn(
    string Key, string Title, Func<Run, double?>? Number, Func<Run, string>? Words, Func<double, string>? Show = null)
{
    public bool IsNumber => Number is not null;

    /// <summary>Its value for people.</summary>
    public string Text(Run run) => Words is not null ? Words(run) : Number!(run) is { } value ? Show!(value) : "";

    /// <summary>Its value for programs: a number in full, whatever people are shown of it.</summary>
    public string Raw(Run run) => Number is null ? Text(run) : Number(run)?.ToString("R", CultureInfo.InvariantCulture) ?? "";
}

/// <summary>What the table of runs says of a run: its settings and its results.</summary>
internal static class RunColumns
{
    public static IReadOnlyList<RunColumn> All { get; } =
    [
        Words("name", "Run", run => run.Name),
        Words("id", "Id", run => run.JobId),
        Words("state", "State", run => run.State.Word()),
        Words("owner", "Owner", run => run.Owner),
        Words("model", "Model", run => run.Model?.Name ?? ""),
        Words("data", "Data", run => run.Data?.Name ?? ""),
        Words("optimizer", "Optimizer", run => run.Hyperparameters?.Optimizer?.Name ?? ""),
        Figure("lr", "Learning rate", run => run.Hyperparameters?.Optimizer?.LearningRate, Figures.Plain),
        Figure("batch", "Batch", run => run.Hyperparameters?.GlobalBatchSize, Figures.Plain),
        Figure("epochs", "Epochs", run => run.Hyperparameters?.Epochs, Figures.Plain),
        Words("precision", "Precision", run => run.Hyperparameters?.Precision.ToString().ToLowerInvariant() ?? ""),
        Words("split", "Split", run => run.Parallelism.ToString().ToLowerInvariant()),
        Figure("devices", "Devices", run => Known(run.Environment?.WorldSize ?? 0), Figures.Plain),
        Figure("seed", "Seed", run => run.Seed, value => value.ToString("F0", CultureInfo.InvariantCulture)),
        Figure("loss", "Train loss", run => run.Progress is { HasTrainLoss: true } p ? p.TrainLoss : null, Loss),
        Figure("validation", "Validation", run => run.Progress is { HasValidationAccuracy: true } p ? p.ValidationAccuracy : null, Share),
        Figure("validationLoss", "Validation loss", run => run.Progress is { HasValidationLoss: true } p ? p.ValidationLoss : null, Loss),
        Figure("test", "Test", run => run.Progress is { HasTestAccuracy: true } p ? p.TestAccuracy : null, Share),
        Figure("accuracy", "Accuracy", run => JobRow.AccuracyOf(run.Progress ?? new Progress()), Share),
        Figure("rate", "Images/s", run => run.Progress is { HasSamplesPerSecond: true } p ? p.SamplesPerSecond : null,
            value => Figures.Decimal(value, 0)),
        Figure("seconds", "Time", Seconds, value => Figures.Length(TimeSpan.FromSeconds(value))),
    ];

    /// <summary>Beside name and state, which every run shows.</summary>
    public static ColumnChoice Choice { get; } = Choose([.. All.Select(column => column.Key).Except(["name", "id", "state"])]);

    public static RunColumn? Find(string key) =>
        All.FirstOrDefault(column => column.Key.Equals(key, StringComparison.OrdinalIgnoreCase));

    private static ColumnChoice Choose(IReadOnlyList<string> all) => new(all, all);

    private static RunColumn Words(string key, string title, Func<Run, string> text) => new(key, title, null, text);

    private static RunColumn Figure(string key, string title, Func<Run, double?> number, Func<double, string> text) =>
        new(key, title, number, null, text);

    private static double? Known(int value) => value > 0 ? value : null;

    private static double? Seconds(Run run) =>
        run is { StartedAt: { } started, FinishedAt: { } finished } ? (finished - started).ToTimeSpan().TotalSeconds : null;

    private static string Loss(double value) => Figures.Decimal(value, 4);

    private static string Share(double value) => Figures.Percent(value);
}
