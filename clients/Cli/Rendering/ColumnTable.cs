using System.Text;

namespace Cluster.Cli.Rendering;

/// <summary>Rows under headings, columns as wide as their widest cell: easy on the eye and on awk.</summary>
internal sealed class ColumnTable(params string[] headings)
{
    private const int Gap = 2;

    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells)
    {
        if (cells.Length != headings.Length)
            throw new ArgumentException($"{cells.Length} cells under {headings.Length} headings", nameof(cells));
        _rows.Add([.. cells.Select(cell => cell.Length == 0 ? "-" : Printable.OneLine(cell))]);
    }

    /// <param name="width">Lines are cut at so many columns; null in a pipe, where nothing is lost.</param>
    public string Render(int? width)
    {
        var widths = headings.Select((heading, i) => _rows.Select(row => row[i].Length).Append(heading.Length).Max()).ToArray();
        var text = new StringBuilder();
        foreach (var row in _rows.Prepend(headings))
        {
            var line = string.Concat(row.Select((cell, i) => i == row.Length - 1 ? cell : cell.PadRight(widths[i] + Gap))).TrimEnd();
            text.Append(width is { } columns ? Printable.Cut(line, columns) : line).Append('\n');
        }

        return text.ToString();
    }
}
