using System.Globalization;

namespace Cluster.Dashboard.Files;

/// <summary>Comma-separated values: RFC 4180.</summary>
internal static class Csv
{
    /// <summary>With its end.</summary>
    public static string Line(IEnumerable<string> cells) => string.Join(',', cells.Select(Cell)) + "\r\n";

    private static string Cell(string text)
    {
        // A spreadsheet would run a name that looks like a formula. Numbers may begin with a sign.
        if (text is ['=' or '+' or '-' or '@' or '\t' or '\r', ..] && !double.TryParse(text, CultureInfo.InvariantCulture, out _))
            text = "'" + text;
        return text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
