namespace Cluster.Bench.Reporting;

/// <summary>Rows for RESULTS.md.</summary>
/// <param name="columns">Their heads; the first is of words, the others of figures.</param>
internal sealed class MarkdownTable(params IReadOnlyList<string> columns)
{
    private readonly List<IReadOnlyList<string>> _rows = [];

    public void Add(params IReadOnlyList<string> cells)
    {
        if (cells.Count != columns.Count)
            throw new ArgumentException($"a row has {cells.Count} cells where there are {columns.Count} columns", nameof(cells));
        _rows.Add(cells);
    }

    public void Print(TextWriter output)
    {
        output.WriteLine(Line(columns));
        output.WriteLine($"|---|{string.Concat(Enumerable.Repeat("---:|", columns.Count - 1))}");
        foreach (var row in _rows)
            output.WriteLine(Line(row));
    }

    private static string Line(IReadOnlyList<string> cells) => $"| {string.Join(" | ", cells)} |";
}
