using System.Collections.Immutable;
using System.Globalization;

namespace Cluster.Contracts.JobFiles;

/// <summary>"0.485 0.456 0.406": a number for each channel in one scalar, since a list means several jobs.</summary>
public static class ChannelValues
{
    /// <summary>The data set's own values.</summary>
    public const string Own = "own";

    private const int MaxChannels = 3;

    /// <summary>False if it is neither. No values stand for <see cref="Own"/>.</summary>
    public static bool TryRead(string text, out ImmutableArray<double> values)
    {
        values = [];
        if (text is Own or "")
            return true;
        var numbers = text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(word => double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN)
            .ToImmutableArray();
        if (numbers.Length is < 1 or > MaxChannels || !numbers.All(double.IsFinite))
            return false;
        values = numbers;
        return true;
    }
}
