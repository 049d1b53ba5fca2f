using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Cluster.Cli.Runs;

/// <param name="Type">Of what its rows have, if they have anything: double, long, bool, DateTime (UTC) or string.</param>
internal sealed record ExportColumn(string Name, System.Type Type);

/// <summary>Rows under columns, for programs: nothing is rounded or cut.</summary>
/// <param name="Rows">Each with a value, or null, for each column.</param>
internal sealed record ExportRows(IReadOnlyList<ExportColumn> Columns, IAsyncEnumerable<object?[]> Rows);

/// <summary>Runs, or their points, as rows.</summary>
internal static class RunRows
{
    private static readonly (ExportColumn Column, Func<Run, object?> Value)[] Before =
    [
        (new("run", typeof(string)), run => run.JobId),
        (new("name", typeof(string)), run => run.Name),
        (new("owner", typeof(string)), run => run.Owner),
        (new("state", typeof(string)), run => run.State.Word()),
        (new("experiment", typeof(string)), run => Known(run.ExperimentId)),
        (new("variant", typeof(string)), run => Known(run.Variant)),
        (new("queue", typeof(string)), run => Known(run.Queue)),
        (new("attempts", typeof(long)), run => (long)run.Attempts),
        (new("devices", typeof(long)), run => (long)run.Placement.Count),
        (new("created", typeof(DateTime)), run => Time(run.CreatedAt)),
        (new("started", typeof(DateTime)), run => Time(run.StartedAt)),
        (new("finished", typeof(DateTime)), run => Time(run.FinishedAt)),
    ];

    private static readonly (ExportColumn Column, Func<Contracts.V1.Progress, object?> Value)[] Figures =
    [
        (new("epoch", typeof(long)), progress => (long)progress.Epoch),
        (new("step", typeof(long)), progress => progress.Step),
        (new("trainLoss", typeof(double)), progress => progress.HasTrainLoss ? progress.TrainLoss : null),
        (new("trainAccuracy", typeof(double)), progress => progress.HasTrainAccuracy ? progress.TrainAccuracy : null),
        (new("validationLoss", typeof(double)), progress => progress.HasValidationLoss ? progress.ValidationLoss : null),
        (new("validationAccuracy", typeof(double)), progress => progress.HasValidationAccuracy ? progress.ValidationAccuracy : null),
        (new("testLoss", typeof(double)), progress => progress.HasTestLoss ? progress.TestLoss : null),
        (new("testAccuracy", typeof(double)), progress => progress.HasTestAccuracy ? progress.TestAccuracy : null),
        (new("samplesPerSecond", typeof(double)), progress => progress.HasSamplesPerSecond ? progress.SamplesPerSecond : null),
    ];

    /// <summary>A row a run: who and how, each setting that any of them has, and the newest figures.</summary>
    public static ExportRows OfRuns(IReadOnlyCollection<Run> runs)
    {
        var given = runs.Select(run => (Run: run, Settings: SpecSettings.Of(run).ToDictionary(setting => setting.Path))).ToList();
        var paths = SpecSettings.InOrder(given.SelectMany(each => each.Settings.Keys));
        return new ExportRows(
            [
                .. Before.Select(each => each.Column), .. paths.Select(path => new ExportColumn(path, TypeOf(path))),
                .. Figures.Select(each => each.Column),
            ],
            given.Select(each => (object?[])
            [
                .. Before.Select(column => column.Value(each.Run)),
                .. paths.Select(path => Value(each.Settings.GetValueOrDefault(path)?.Value)),
                .. Figures.Select(column => each.Run.Progress is { } progress ? column.Value(progress) : null),
            ]).ToAsyncEnumerable());
    }

    /// <summary>A row a point, run after run and series after series, as they come.</summary>
    public static ExportRows OfPoints(VerbContext context, IReadOnlyCollection<Run> runs, CancellationToken cancellationToken)
    {
        return new ExportRows(
            [
                new("run", typeof(string)), new("series", typeof(string)), new("step", typeof(long)), new("epoch", typeof(long)),
                new("time", typeof(DateTime)), new("value", typeof(double)),
            ],
            runs.ToAsyncEnumerable().SelectMany(Points));

        IAsyncEnumerable<object?[]> Points(Run run) => PointsAsync(context, run, cancellationToken)
            .Select(point => (object?[])[run.JobId, point.Name, point.Step, (long)point.Epoch, Time(point.Time), point.Value]);
    }

    /// <summary>All points of a run, one series after another.</summary>
    public static async IAsyncEnumerable<MetricPoint> PointsAsync(
        VerbContext context, Run run, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = context.Connection.Runs.StreamMetrics(
            new StreamMetricsRequest { JobId = run.JobId }, context.Connection.Stream(cancellationToken));
        await foreach (var batch in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            foreach (var point in batch.Points)
                yield return point;
        }
    }

    private static System.Type TypeOf(string path) => SpecSettings.KindOf(path) switch
    {
        SettingKind.Number => typeof(double),
        SettingKind.Flag => typeof(bool),
        _ => typeof(string),
    };

    private static object? Value(object? setting) => setting is decimal whole ? (double)whole : setting;

    // No text is what a job by itself has of an experiment.
    private static string? Known(string text) => text.Length > 0 ? text : null;

    private static object? Time(Timestamp? time) => time?.ToDateTime();
}
