using System.Collections.Immutable;

namespace Cluster.Search;

/// <summary>How a search chooses what its trials are, and which of them train on.</summary>
public enum SearcherKind
{
    /// <summary>Every combination, each to its end.</summary>
    Grid,

    /// <summary>Drawn, each to its end.</summary>
    Random,

    /// <summary>Drawn; the best share of those that have come as far trains on. Li et al. 2018, arXiv:1810.05934, Algorithm 2.</summary>
    Asha,
}

/// <summary>What does not change while a search runs.</summary>
/// <param name="SmallerIsBetter">Of the metric.</param>
/// <param name="Rungs">Lengths in ascending order, in epochs: a trial is judged at each of them, and is complete at the last.</param>
/// <param name="Divisor">One in so many trials of a rung trains on to the next.</param>
/// <param name="StopOnce">
/// A trial is judged once at each rung, when it comes there, and goes on or is stopped for good. Otherwise it pauses there, and is promoted
/// when enough worse ones have come.
/// </param>
/// <param name="MostTrials">There are no more to be had, as of a grid.</param>
public sealed record SearchPolicy(
    SearcherKind Kind, bool SmallerIsBetter, ImmutableArray<int> Rungs, double Divisor, bool StopOnce, int MostTrials = int.MaxValue)
{
    /// <summary>Whether another trial takes the place of one that could not train with its settings.</summary>
    public bool ReplacesInvalid => Kind != SearcherKind.Grid;

    /// <summary>
    /// The longest is <paramref name="maxLength"/>, each shorter one a <paramref name="divisor"/>th of the next; as many as asked for, as
    /// long as they are of different length.
    /// </summary>
    public static ImmutableArray<int> RungsFor(int maxLength, int maxRungs, double divisor) =>
    [
        .. Enumerable.Range(0, maxRungs).Select(down => (int)(maxLength / Math.Pow(divisor, down))).TakeWhile(length => length >= 1)
            .Distinct().Reverse(),
    ];
}

/// <summary>What may be changed while a search runs.</summary>
/// <param name="MaxTrials">Those that were found invalid are not counted where others replace them.</param>
/// <param name="MaxConcurrent">Trials that train, or wait to, at once.</param>
public sealed record SearchLimits(int MaxTrials, int MaxConcurrent);
