using System.Diagnostics;

namespace Cluster.Bench.Measuring;

/// <summary>Contestants measured in turn, so that what disturbs the machine for a while disturbs them alike.</summary>
internal static class Interleaved
{
    /// <summary>Fewer figures have no median worth the name.</summary>
    private const int LeastRounds = 3;

    /// <summary>Runs each contestant once a round, in an order that rotates from round to round.</summary>
    /// <param name="rounds">Figures a contestant.</param>
    /// <param name="contestants">Each gives one figure.</param>
    /// <returns>The contestants' medians.</returns>
    public static async Task<double[]> MediansAsync(int rounds, params IReadOnlyList<Func<Task<double>>> contestants) =>
        (await MediansAsync(rounds, Timeout.InfiniteTimeSpan, contestants)).Medians;

    /// <summary>The same, with fewer rounds where they take long.</summary>
    /// <param name="rounds">Figures a contestant at most.</param>
    /// <param name="budget">After it no further round begins, once there are three.</param>
    /// <param name="contestants">Each gives one figure.</param>
    /// <returns>The contestants' medians, and of how many rounds they are.</returns>
    public static async Task<(double[] Medians, int Rounds)> MediansAsync(
        int rounds, TimeSpan budget, IReadOnlyList<Func<Task<double>>> contestants)
    {
        var (figures, began, round) = (contestants.Select(_ => new List<double>()).ToArray(), Stopwatch.GetTimestamp(), 0);
        for (; round < rounds && !(round >= LeastRounds && IsOver(budget, began)); round++)
        {
            for (var turn = 0; turn < contestants.Count; turn++)
            {
                var contestant = (round + turn) % contestants.Count;
                figures[contestant].Add(await contestants[contestant]());
            }
        }

        return ([.. figures.Select(Median)], round);
    }

    public static double Median(IReadOnlyCollection<double> figures)
    {
        if (figures.Count == 0)
            throw new ArgumentException("there is no median of no figures", nameof(figures));
        var sorted = figures.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    private static bool IsOver(TimeSpan budget, long began) =>
        budget != Timeout.InfiniteTimeSpan && Stopwatch.GetElapsedTime(began) > budget;
}
