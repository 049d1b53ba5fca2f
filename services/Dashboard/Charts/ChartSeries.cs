using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Charts;

/// <summary>What a chart's points lie along.</summary>
public enum ChartAxis
{
    Step,
    Epoch,
    Time,
}

/// <summary>One curve of a chart; <paramref name="Y"/> need not be finite.</summary>
public sealed record ChartSeries(string Label, double[] X, double[] Y)
{
    /// <param name="of">The job that the points are of: it says how long an epoch is and when the run began.</param>
    public static ChartSeries Of(string label, IReadOnlyList<MetricPoint> points, ChartAxis axis, Job of)
    {
        var progress = of.Progress;
        var perEpoch = progress is { Epochs: > 0, Steps: > 0 } ? (double)progress.Steps / progress.Epochs : 0;
        var begun = of.StartedAt ?? (points.Count > 0 ? points[0].Time : null);
        return new ChartSeries(
            label,
            [.. points.Select(point => axis switch
            {
                ChartAxis.Epoch => perEpoch > 0 ? point.Step / perEpoch : point.Epoch,
                ChartAxis.Time => point.Time is { } time && begun is not null ? (time - begun).ToTimeSpan().TotalMinutes : point.Step,
                _ => point.Step,
            })],
            [.. points.Select(point => point.Value)]);
    }

    public static string NameOf(ChartAxis axis) => axis switch
    {
        ChartAxis.Epoch => "epoch",
        ChartAxis.Time => "minute",
        _ => "step",
    };
}
