using System.Globalization;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Runs;

/// <summary>A column of the table of runs.</summary>
/// <param name="Key">What conditions, addresses and files call it.</param>
/// <param name="Text">Its value for people; empty: the run has none.</param>
public sealed record RunColumn(string Key, string Title, Func<Run, string> Text)
{
    /// <summary>Of the setting that it shows, in a job file; null: it shows none.</summary>
    public string? Path { get; init; }

    /// <summary>What a condition compares it with; null: no condition knows it.</summary>
    public SettingKind? Kind { get; init; }

    /// <summary>Its value as a number; null where it is no number, or the run has none.</summary>
    public Func<Run, double?>? Number { get; init; }

    /// <summary>A number such as its own for people.</summary>
    public Func<double, string> Show { get; init; } = Figures.Plain;

    /// <summary>Its value for programs: in full, whatever people are shown of it.</summary>
    public required Func<Run, string> Raw { get; init; }

    public Showing Showing { get; init; }

    /// <summary>What a condition says of a run that has no value.</summary>
    public string Lacking { get; init; } = "is null";

    public bool IsNumber => Number is not null;

    public bool Equals(RunColumn? other) => Key == other?.Key;

    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(Key);

    /// <summary>The condition that finds the runs which have the same here; empty: there is none.</summary>
    public string ConditionOf(Run run)
    {
        var value = Raw(run);
        if (Kind is null || (Number?.Invoke(run) is { } number && !double.IsFinite(number)))
            return "";
        if (value.Length == 0)
            return $"{Key} {Lacking}";
        return string.Create(CultureInfo.InvariantCulture,
            $"{Key} = {(Kind == SettingKind.Text ? $"'{value.Replace("'", "''", StringComparison.Ordinal)}'" : value)}");
    }
}

/// <summary>Whether a column is shown where nobody has chosen any.</summary>
public enum Showing
{
    Always,

    /// <summary>Where the runs that are shown do not have the same there.</summary>
    WhereDifferent,

    OnDemand,
}
