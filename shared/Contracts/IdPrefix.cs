using System.Diagnostics.CodeAnalysis;

namespace Cluster.Contracts;

/// <summary>The beginning of an id, as people type it: 4 to 32 hexadecimal digits, dashes and case as they like.</summary>
/// <remarks>Kept in the dashed lower-case form, so that it is also a prefix of an id's text in the database.</remarks>
public readonly record struct IdPrefix
{
    /// <summary>Fewer digits would name several jobs too easily.</summary>
    public const int MinDigits = 4;

    private const int Digits = 32;

    private IdPrefix(string text) => Text = text;

    /// <summary>The prefix with dashes where a UUID has them: "0f3c", "0f3c9a1b-77".</summary>
    public string Text { get; }

    /// <summary>Whether this is a whole id and so can mean only one.</summary>
    public bool IsWhole => Text.Length == 36;

    /// <summary>False for anything else than 4 to 32 hexadecimal digits and dashes.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out IdPrefix prefix)
    {
        prefix = default;
        if (text is null)
            return false;
        Span<char> dashed = stackalloc char[36];
        int digits = 0, length = 0;
        foreach (var character in text)
        {
            if (character == '-')
                continue;
            if (!char.IsAsciiHexDigit(character) || digits == Digits)
                return false;
            if (digits is 8 or 12 or 16 or 20)
                dashed[length++] = '-';
            dashed[length++] = char.ToLowerInvariant(character);
            digits++;
        }

        if (digits < MinDigits)
            return false;
        prefix = new IdPrefix(new string(dashed[..length]));
        return true;
    }

    public bool Matches(Guid id) => id.ToString("D").StartsWith(Text, StringComparison.Ordinal);

    public override string ToString() => Text;
}
