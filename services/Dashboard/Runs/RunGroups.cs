using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Runs;

/// <summary>Runs that have the same in one column.</summary>
/// <param name="Value">What they have there, as people see it.</param>
/// <param name="Condition">Which finds these runs; empty: there is none.</param>
/// <param name="Spreads">Of each column of numbers, in order.</param>
public sealed record RunGroup(string Value, string Condition, int Runs, IReadOnlyList<RunSpread> Spreads);

/// <summary>Numbers of a group's runs; null: none of them has any that is finite.</summary>
/// <param name="Odd">How many are not finite, and count nowhere else.</param>
public sealed record RunSpread(RunColumn Column, double? Mean, double Lowest, double Highest, int Odd);

/// <summary>Groups a table of runs by one of its columns.</summary>
internal static class RunGroups
{
    /// <summary>The largest first.</summary>
    /// <param name="runs">All that match.</param>
    /// <param name="by">The column that groups them.</param>
    /// <param name="columns">What is shown of each group: of these, those that are numbers.</param>
    public static IReadOnlyList<RunGroup> Of(IReadOnlyList<Run> runs, RunColumn by, IReadOnlyList<RunColumn> columns)
    {
        var numbers = columns.Where(column => column.IsNumber && column != by).ToList();
        return
        [
            .. runs.GroupBy(by.Raw).Select(same => new RunGroup(
                    by.Text(same.First()), by.ConditionOf(same.First()), same.Count(), [.. numbers.Select(column => Spread(column, same))]))
                .OrderByDescending(group => group.Runs).ThenBy(group => group.Value, StringComparer.Ordinal),
        ];
    }

    private static RunSpread Spread(RunColumn column, IEnumerable<Run> runs)
    {
        var numbers = runs.Select(run => column.Number!(run)).OfType<double>().ToList();
        var finite = numbers.Where(double.IsFinite).ToList();
        return finite.Count == 0
            ? new RunSpread(column, null, 0, 0, numbers.Count)
            : new RunSpread(column, finite.Average(), finite.Min(), finite.Max(), numbers.Count - finite.Count);
    }
}
