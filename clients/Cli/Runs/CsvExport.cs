using System.Globalization;
using Cluster.Cli.Rendering;

namespace Cluster.Cli.Runs;

/// <summary>Rows as CSV: numbers whole, times in ISO 8601, nothing where there is nothing.</summary>
internal static class CsvExport
{
    public static async Task WriteAsync(ExportRows rows, TextWriter writer)
    {
        await WriteLineAsync(rows.Columns.Select(column => column.Name));
        await foreach (var row in rows.Rows)
            await WriteLineAsync(row.Select(Text));

        Task WriteLineAsync(IEnumerable<string> cells) => writer.WriteAsync($"{string.Join(',', cells.Select(CsvText.Cell))}\n");
    }

    private static string Text(object? value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        DateTime time => time.ToString("O", CultureInfo.InvariantCulture),
        _ => Printable.OneLine(Convert.ToString(value, CultureInfo.InvariantCulture)!),
    };
}
