namespace Cluster.Cli.Rendering;

internal static class CsvText
{
    /// <summary>In quotes where it would be read as more than one cell otherwise.</summary>
    public static string Cell(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0
        ? text
        : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
