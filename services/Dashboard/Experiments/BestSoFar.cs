using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Charts;

namespace Cluster.Dashboard.Experiments;

/// <summary>What the best trial gave, against what all trials together have trained until then.</summary>
internal static class BestSoFar
{
    /// <summary>What a job is judged by as of now; null: it has none yet.</summary>
    /// <param name="metric">"validation/accuracy" or "validation/loss".</param>
    /// <param name="job">A trial.</param>
    public static double? MetricOf(string metric, Job job) => job.Progress switch
    {
        { HasValidationLoss: true } progress when metric == MetricNames.ValidationLoss => progress.ValidationLoss,
        { HasValidationAccuracy: true } progress when metric != MetricNames.ValidationLoss => progress.ValidationAccuracy,
        _ => null,
    };

    /// <summary>A point for each trial that trains no more for now, in the order in which they ended.</summary>
    public static ChartSeries Of(IEnumerable<Job> trials, string metric, bool isSmallerBetter)
    {
        var (xs, ys) = (new List<double>(), new List<double>());
        var (trained, best) = (0, (double?)null);
        // One that is paused is told of no later than one that has ended: its end is not known.
        var order = trials.Where(job => job.State.IsFinal() || job.State == JobState.Paused)
            .OrderBy(job => (job.FinishedAt ?? job.StartedAt ?? job.CreatedAt).ToDateTimeOffset());
        foreach (var job in order)
        {
            trained += job.Progress?.Epoch ?? 0;
            if (MetricOf(metric, job) is not { } value || !double.IsFinite(value))
                continue;
            best = best is not { } known ? value : isSmallerBetter ? Math.Min(known, value) : Math.Max(known, value);
            xs.Add(trained);
            ys.Add(best.Value);
        }

        return new ChartSeries("best so far", [.. xs], [.. ys]);
    }
}
