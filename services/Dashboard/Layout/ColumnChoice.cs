namespace Cluster.Dashboard.Layout;

/// <summary>Which of a table's columns are shown, as an address says.</summary>
/// <param name="All">The keys of all that there are, in order.</param>
/// <param name="Usual">Of those that are shown where an address says nothing.</param>
public sealed record ColumnChoice(IReadOnlyList<string> All, IReadOnlyList<string> Usual)
{
    /// <summary>Of those that are shown.</summary>
    public IReadOnlyList<string> Shown { get; private init; } = Usual;

    /// <summary>As an address has it; empty: the usual ones.</summary>
    public string Text => Shown.SequenceEqual(Usual) ? "" : string.Join(',', Shown);

    /// <summary>Keys with commas between; what is no column is passed over.</summary>
    public ColumnChoice Read(string? text)
    {
        var named = (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var known = All.Where(key => named.Contains(key, StringComparer.OrdinalIgnoreCase)).ToList();
        return known.Count == 0 ? this with { Shown = Usual } : this with { Shown = known };
    }

    /// <summary>With a column more, or one less; of the last one there is no less.</summary>
    public ColumnChoice With(string key, bool isShown)
    {
        var shown = All.Where(candidate => candidate == key ? isShown : Shown.Contains(candidate)).ToList();
        return shown.Count == 0 ? this : this with { Shown = shown };
    }
}
