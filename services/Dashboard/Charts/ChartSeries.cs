using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Charts;

/// <summary>What a chart's points lie along.</summary>
public enum ChartAxis
{
    Step,
    Epoch,

    /// <summary>Minutes since the run began.</summary>
    Time,

    /// <summary>Date and time of day.</summary>
    Clock,

    /// <summary>Epochs that all trials of a search have trained together.</summary>
    Trained,
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
                ChartAxis.Clock => point.Time is { } time ? time.ToDateTimeOffset().ToUnixTimeMilliseconds() / 1000.0 : point.Step,
                _ => point.Step,
            })],
            [.. points.Select(point => point.Value)]);
    }

    /// <summary>
    /// The exponential moving average, without the pull of its beginning at zero. What is not finite stays what it is, and counts in no
    /// average.
    /// </summary>
    /// <param name="weight">Of what was before: 0 leaves all as it is; below 1.</param>
    public ChartSeries Smoothed(double weight)
    {
        if (weight <= 0)
            return this;
        var smoothed = new double[Y.Length];
        var (sum, known) = (0.0, 0.0);
        for (var at = 0; at < Y.Length; at++)
        {
            if (!double.IsFinite(Y[at]))
            {
                smoothed[at] = Y[at];
                continue;
            }

            (sum, known) = ((weight * sum) + ((1 - weight) * Y[at]), (weight * known) + (1 - weight));
            smoothed[at] = sum / known;
        }

        return this with { Y = smoothed };
    }

    public static string NameOf(ChartAxis axis) => axis switch
    {
        ChartAxis.Epoch => "epoch",
        ChartAxis.Time => "minute",
        ChartAxis.Clock => "time",
        ChartAxis.Trained => "epochs of all trials",
        _ => "step",
    };
}
