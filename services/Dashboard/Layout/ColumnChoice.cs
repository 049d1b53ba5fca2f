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

    /// <summary>Keys with commas between, of the address's <c>columns</c>.</summary>
    public ColumnChoice Read(string? text, AddressReader address)
    {
        var named = address.Words("columns", text, All);
        return this with { Shown = named.Count == 0 ? Usual : [.. All.Where(named.Contains)] };
    }

    /// <summary>With a column more, or one less; of the last one there is no less.</summary>
    public ColumnChoice With(string key, bool isShown)
    {
        var shown = All.Where(candidate => candidate == key ? isShown : Shown.Contains(candidate)).ToList();
        return shown.Count == 0 ? this : this with { Shown = shown };
    }
}
