namespace Cluster.Bench.Measuring;

/// <summary>Contestants measured in turn, so that what disturbs the machine for a while disturbs them alike.</summary>
internal static class Interleaved
{
    /// <summary>Runs each contestant once a round, in an order that rotates from round to round.</summary>
    /// <param name="rounds">Figures a contestant.</param>
    /// <param name="contestants">Each gives one figure.</param>
    /// <returns>The contestants' medians.</returns>
    public static async Task<double[]> MediansAsync(int rounds, params IReadOnlyList<Func<Task<double>>> contestants)
    {
        var figures = contestants.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var turn = 0; turn < contestants.Count; turn++)
            {
                var contestant = (round + turn) % contestants.Count;
                figures[contestant].Add(await contestants[contestant]());
            }
        }

        return [.. figures.Select(Median)];
    }

    public static double Median(IReadOnlyCollection<double> figures)
    {
        if (figures.Count == 0)
            throw new ArgumentException("there is no median of no figures", nameof(figures));
        var sorted = figures.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
