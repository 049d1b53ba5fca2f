using System.Text;

namespace Cluster.Cli.Rendering;

/// <summary>Makes text that came from elsewhere safe for a terminal: no escape sequences, no line that is two.</summary>
internal static class Printable
{
    /// <summary>Control characters become blanks, tabs stay.</summary>
    public static string OneLine(string text)
    {
        if (!text.Any(IsUnwanted))
            return text;
        var clean = new StringBuilder(text.Length);
        foreach (var character in text)
            clean.Append(IsUnwanted(character) ? ' ' : character);
        return clean.ToString();
    }

    /// <summary>At most so many characters, the last an ellipsis where some are missing.</summary>
    public static string Cut(string text, int longest) =>
        text.Length <= longest ? text : string.Concat(text.AsSpan(0, Math.Max(longest - 1, 0)), "…");

    private static bool IsUnwanted(char character) => char.IsControl(character) && character != '\t';
}
