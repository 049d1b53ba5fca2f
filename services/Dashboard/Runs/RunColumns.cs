using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Runs;

/// <summary>What the table of runs can say of a run: who and where, its settings, and what came of it.</summary>
internal static class RunColumns
{
    private static readonly RunColumn[] Before =
    [
        Words("name", "Run", run => run.Name),
        Words("id", "Id", run => run.JobId, kind: null),
        Words("state", "State", run => run.State.Word()),
        Words("owner", "Owner", run => run.Owner),
        Usual("model", "Model", "model.name"),
        Usual("data", "Data", "data.name"),
        Usual("optimizer", "Optimizer", "hyperparameters.optimizer.name"),
        Usual("lr", "Learning rate", "hyperparameters.optimizer.learningRate"),
        Usual("batch", "Batch", "hyperparameters.globalBatchSize"),
        Usual("epochs", "Epochs", "hyperparameters.epochs"),
        Usual("precision", "Precision", "hyperparameters.precision"),
        Usual("parallelism", "Split", "parallelism"),
        Usual("seed", "Seed", "seed"),
    ];

    private static readonly RunColumn[] After =
    [
        // How many it has had, which is not what it asked for where it is elastic: no condition knows that.
        Figure("devices", "Devices", run => run.Environment is { WorldSize: > 0 } found ? found.WorldSize : null, Figures.Plain,
            kind: null),
        Figure("loss", "Train loss", run => run.Progress is { HasTrainLoss: true } p ? p.TrainLoss : null, Loss),
        Figure("validationAccuracy", "Validation", run => run.Progress is { HasValidationAccuracy: true } p ? p.ValidationAccuracy : null,
            Share),
        Figure("validationLoss", "Validation loss", run => run.Progress is { HasValidationLoss: true } p ? p.ValidationLoss : null, Loss),
        Figure("testAccuracy", "Test", run => run.Progress is { HasTestAccuracy: true } p ? p.TestAccuracy : null, Share),
        Figure("accuracy", "Accuracy", run => JobRow.AccuracyOf(run.Progress ?? new Progress()), Share),
        Figure("samplesPerSecond", "Images/s", run => run.Progress is { HasSamplesPerSecond: true } p ? p.SamplesPerSecond : null,
            value => Figures.Decimal(value, 0)),
        Figure("runtime", "Time", Seconds, value => Figures.Length(TimeSpan.FromSeconds(value)), kind: null),
        Words("experiment", "Experiment", run => run.ExperimentId) with { Showing = Showing.WhereDifferent },
        Words("variant", "Variant", run => run.Variant) with { Showing = Showing.WhereDifferent, Lacking = "= ''" },
        Words("queue", "Queue", run => run.Queue) with { Showing = Showing.WhereDifferent },
        Words("created", "Created", Created, kind: null) with { Showing = Showing.OnDemand },
    ];

    private static readonly Dictionary<string, RunColumn> Fixed =
        Before.Concat(After).ToDictionary(column => column.Key, StringComparer.OrdinalIgnoreCase);

    private static readonly Dictionary<string, RunColumn> FixedByPath =
        Before.Where(column => column.Path is not null).ToDictionary(column => column.Path!);

    /// <summary>Those that runs with these settings have something for, in order.</summary>
    /// <param name="paths">As a job file has them.</param>
    public static IReadOnlyList<RunColumn> Of(IEnumerable<string> paths) =>
        [.. Before, .. SpecSettings.InOrder(paths).Where(path => !FixedByPath.ContainsKey(path)).Select(Setting), .. After];

    /// <summary>
    /// By what people call it, as in a condition: "lr", "learningRate", "hyperparameters.optimizer.learningRate", "labels.team".
    /// </summary>
    /// <returns>Null: there is no such column.</returns>
    public static RunColumn? Find(string name)
    {
        if (Fixed.TryGetValue(name, out var column))
            return column;
        var path = name.StartsWith(SpecSettings.Labels, StringComparison.Ordinal) && name.Length > SpecSettings.Labels.Length
            ? name
            : SpecSettings.Names.GetValueOrDefault(name);
        return path is null || !SpecSettings.IsKnownToRuns(path) ? null : FixedByPath.GetValueOrDefault(path) ?? Setting(path);
    }

    private static RunColumn Usual(string key, string title, string path) =>
        Setting(path) with { Key = key, Title = title, Showing = Showing.Always };

    // All that is set is shown where it differs: it is that which tells the runs apart.
    private static RunColumn Setting(string path)
    {
        var kind = SpecSettings.KindOf(path);
        Func<Run, string> text = run => SpecSettings.Find(run, path)?.Text ?? "";
        var title = path.StartsWith("hyperparameters.", StringComparison.Ordinal) ? path["hyperparameters.".Length..] : path;
        return new RunColumn(path, title, text)
        {
            Path = path,
            Kind = kind,
            Number = kind == SettingKind.Number ? run => NumberOf(SpecSettings.Find(run, path)?.Value) : null,
            Raw = text,
            Showing = Showing.WhereDifferent,
        };
    }

    private static double? NumberOf(object? value) => value switch
    {
        double number => number,
        decimal whole => (double)whole,
        _ => null,
    };

    private static RunColumn Words(string key, string title, Func<Run, string> text, SettingKind? kind = SettingKind.Text) =>
        new(key, title, text) { Raw = text, Kind = kind };

    private static RunColumn Figure(
        string key, string title, Func<Run, double?> number, Func<double, string> show, SettingKind? kind = SettingKind.Number) =>
        new(key, title, run => number(run) is { } value ? show(value) : "")
        {
            Number = number,
            Raw = run => number(run)?.ToString("R", CultureInfo.InvariantCulture) ?? "",
            Show = show,
            Kind = kind,
        };

    private static double? Seconds(Run run) =>
        run is { StartedAt: { } started, FinishedAt: { } finished } ? (finished - started).ToTimeSpan().TotalSeconds : null;

    private static string Created(Run run) =>
        run.CreatedAt?.ToDateTime().ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "";

    private static string Loss(double value) => Figures.Decimal(value, 4);

    private static string Share(double value) => Figures.Percent(value);
}
