using System.Globalization;

namespace Cluster.Dashboard.Layout;

/// <summary>Reads what an address says. What it cannot mean is as if it were not there, and is told.</summary>
public sealed class AddressReader
{
    // Characters of what somebody wrote.
    private const int MostShown = 40;

    // More say no more.
    private const int MostFaults = 5;

    private readonly List<string> _faults = [];

    /// <summary>What of the address means nothing, in words.</summary>
    public IReadOnlyList<string> Faults => _faults;

    /// <summary>Both bounds are allowed.</summary>
    public int? Whole(string name, string? text, int least, int most)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            && value >= least && value <= most)
            return value;
        Tell(name, text, most == int.MaxValue ? $"a whole number from {least} on" : $"a whole number from {least} to {most}");
        return null;
    }

    /// <inheritdoc cref="Whole"/>
    public double? Number(string name, string? text, double least, double most)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most)
            return value;
        Tell(name, text, string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"));
        return null;
    }

    public bool? Flag(string name, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (bool.TryParse(text, out var value))
            return value;
        Tell(name, text, "true or false");
        return null;
    }

    /// <returns>As <paramref name="words"/> has it; null: it is none of them.</returns>
    public string? Word(string name, string? text, IEnumerable<string> words)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        var known = words.ToList();
        if (known.Find(word => word.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } found)
            return found;
        Tell(name, text, $"one of {string.Join(", ", known)}");
        return null;
    }

    /// <summary>Those of the words, with commas between, that are known.</summary>
    public IReadOnlyList<string> Words(string name, string? text, IReadOnlyList<string> words)
    {
        var named = (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return [.. named.Select(word => Word(name, word, words)).OfType<string>().Distinct()];
    }

    /// <summary>For what the others do not know of.</summary>
    public void Tell(string name, string text, string needed)
    {
        if (_faults.Count == MostFaults)
            return;
        var shown = text.Length > MostShown ? text[..MostShown] + "…" : text;
        _faults.Add($"{name}={shown} is passed over: it is not {needed}");
    }
}
