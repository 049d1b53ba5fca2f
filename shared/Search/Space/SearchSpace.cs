using System.Collections.Immutable;

namespace Cluster.Search.Space;

/// <summary>All hyperparameters that a search chooses, and what each may be.</summary>
/// <param name="Dimensions">By path, in the file's order.</param>
public sealed record SearchSpace(ImmutableArray<KeyValuePair<string, Dimension>> Dimensions)
{
    /// <summary>How many trials a grid has: every combination once. Limited to what an <see cref="int"/> holds.</summary>
    public int GridSize => (int)Grids().Aggregate(1L, (product, grid) => Math.Min(product * grid.Values.Length, int.MaxValue));

    /// <summary>What a trial is drawn to be, whichever trials there were before it.</summary>
    public ImmutableArray<Setting> Sample(ulong seed, int trial) =>
    [
        .. Dimensions.Select(each => new Setting(each.Key, each.Value.At(CounterRandom.Uniform(seed, each.Key, trial)))),
    ];

    /// <summary>The combination at a place of the grid, in which the last hyperparameter changes fastest.</summary>
    public ImmutableArray<Setting> GridPoint(int trial)
    {
        var settings = new List<Setting>();
        long rest = trial;
        foreach (var (path, values) in Grids().Reverse())
        {
            settings.Add(new Setting(path, values[(int)(rest % values.Length)]));
            rest /= values.Length;
        }

        settings.Reverse();
        return [.. settings];
    }

    private IEnumerable<(string Path, ImmutableArray<SettingValue> Values)> Grids() =>
        Dimensions.Select(each => (each.Key, each.Value.Grid()));
}
