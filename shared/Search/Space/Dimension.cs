using System.Collections.Immutable;
using System.Globalization;

namespace Cluster.Search.Space;

/// <summary>What one hyperparameter may be: from where it is drawn, and which values of it a grid takes.</summary>
public abstract record Dimension
{
    /// <summary>The value at a place in [0, 1) of the dimension, in which all that it may be is equally likely.</summary>
    public abstract SettingValue At(double place);

    /// <summary>The values of a grid, in ascending order or as they are listed; empty where nobody said how many.</summary>
    public abstract ImmutableArray<SettingValue> Grid();

    /// <summary>So many places from one end to the other, both included; of one, the middle.</summary>
    private protected static IEnumerable<double> Spread(double min, double max, int count) => count == 1
        ? [(min + max) / 2]
        : Enumerable.Range(0, count).Select(i => min + (i * (max - min) / (count - 1)));

    /// <summary>To six digits, which people can read and no training can tell from more; never beyond the ends.</summary>
    private protected static SettingValue Number(double value, double min, double max)
    {
        var rounded = double.Parse(value.ToString("G6", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return SettingValue.Of(Math.Clamp(rounded, min, max));
    }
}

/// <summary>Always the same.</summary>
public sealed record ConstDimension(SettingValue Value) : Dimension
{
    public override SettingValue At(double place) => Value;

    public override ImmutableArray<SettingValue> Grid() => [Value];
}

/// <summary>One of those listed, each as likely as the others.</summary>
public sealed record CategoricalDimension(ImmutableArray<SettingValue> Values) : Dimension
{
    public override SettingValue At(double place) => Values[(int)(place * Values.Length)];

    public override ImmutableArray<SettingValue> Grid() => Values;
}

/// <summary>A whole number from <paramref name="Min"/> to <paramref name="Max"/>, both included.</summary>
/// <param name="Count">Values of a grid, at most as many as there are; 0: not said.</param>
public sealed record IntDimension(long Min, long Max, int Count) : Dimension
{
    public override SettingValue At(double place) => SettingValue.Of(Min + (long)(place * ((double)Max - Min + 1)));

    public override ImmutableArray<SettingValue> Grid() =>
        [.. Spread(Min, Max, (int)Math.Min(Count, Max - Min + 1)).Select(value => SettingValue.Of((long)Math.Round(value)))];
}

/// <summary>A number from <paramref name="Min"/> to <paramref name="Max"/>.</summary>
/// <param name="Count">Values of a grid; 0: not said.</param>
public sealed record DoubleDimension(double Min, double Max, int Count) : Dimension
{
    public override SettingValue At(double place) => Number(Min + (place * (Max - Min)), Min, Max);

    public override ImmutableArray<SettingValue> Grid() => [.. Spread(Min, Max, Count).Select(value => Number(value, Min, Max))];
}

/// <summary>A power of <paramref name="Base"/> whose exponent lies from <paramref name="Min"/> to <paramref name="Max"/>.</summary>
/// <param name="Count">Values of a grid; 0: not said.</param>
public sealed record LogDimension(double Min, double Max, double Base, int Count) : Dimension
{
    public override SettingValue At(double place) => Power(Min + (place * (Max - Min)));

    public override ImmutableArray<SettingValue> Grid() => [.. Spread(Min, Max, Count).Select(Power)];

    private SettingValue Power(double exponent)
    {
        var (least, most) = (Math.Pow(Base, Min), Math.Pow(Base, Max));
        return Number(Math.Pow(Base, exponent), Math.Min(least, most), Math.Max(least, most));
    }
}
