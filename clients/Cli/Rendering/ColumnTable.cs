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
        _rows.Add([.. cells.Select(Printable.OneLine)]);
    }

    /// <summary>The same cells by RFC 4180, but for its line ends; empty ones stay empty.</summary>
    public string Csv() => string.Concat(_rows.Prepend(headings).Select(row => $"{string.Join(',', row.Select(CsvText.Cell))}\n"));

    /// <param name="width">Lines are cut at so many columns; null in a pipe, where nothing is lost.</param>
    public string Render(int? width)
    {
        var rows = _rows.Select(row => Array.ConvertAll(row, cell => cell.Length == 0 ? "-" : cell)).Prepend(headings).ToList();
        var widths = headings.Select((_, i) => rows.Max(row => row[i].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            var line = string.Concat(row.Select((cell, i) => i == row.Length - 1 ? cell : cell.PadRight(widths[i] + Gap))).TrimEnd();
            text.Append(width is { } columns ? Printable.Cut(line, columns) : line).Append('\n');
        }

        return text.ToString();
    }
}
