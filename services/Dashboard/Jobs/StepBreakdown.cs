using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Charts;

namespace Cluster.Dashboard.Jobs;

/// <summary>What steps spend their time on.</summary>
internal static class StepBreakdown
{
    // A chart's filled curves cannot be told apart closer than that.
    private const int MostPlaces = 120;

    /// <summary>What people call each of <see cref="MetricNames.StepParts"/>.</summary>
    public static IReadOnlyList<string> Words { get; } = ["data wait", "forward", "backward", "communication", "optimizer"];

    /// <summary>
    /// A curve for each part, all with the same places, so that they can be stacked: series are thinned each by itself, and what is left of
    /// them lies at steps that differ. Each value is the mean over the steps around it.
    /// </summary>
    public static IReadOnlyList<ChartSeries> Curves(Func<string, IReadOnlyList<MetricPoint>> points)
    {
        var parts = MetricNames.StepParts.Select(points).ToList();
        if (parts.TrueForAll(part => part.Count == 0))
            return [.. Words.Select(word => new ChartSeries(word, [], []))];
        var first = parts.SelectMany(part => part).Min(point => point.Step);
        var width = (parts.SelectMany(part => part).Max(point => point.Step) - first + MostPlaces) / MostPlaces;
        var means = parts.ConvertAll(part => part.GroupBy(point => (point.Step - first) / width)
            .ToDictionary(near => near.Key, near => near.Average(point => point.Value)));
        var places = means.SelectMany(mean => mean.Keys).Distinct().Order().ToList();
        return
        [
            .. Words.Zip(means, (word, mean) => new ChartSeries(
                word, [.. places.Select(place => first + (place * width) + ((width - 1) / 2.0))],
                [.. places.Select(place => mean.GetValueOrDefault(place))])),
        ];
    }

    /// <summary>The newest of each part, in seconds; empty while none is known.</summary>
    /// <param name="series">The names of the parts, in order.</param>
    /// <param name="points">Of a name.</param>
    public static IReadOnlyList<double> Newest(IEnumerable<string> series, Func<string, IReadOnlyList<MetricPoint>> points)
    {
        var newest = series.Select(part => points(part).LastOrDefault()).ToList();
        return newest.Exists(point => point is null) ? [] : newest.ConvertAll(point => point!.Value);
    }
}
