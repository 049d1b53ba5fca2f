using System.Globalization;
using System.Text.RegularExpressions;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>Durations as people write them: "500ms", "2s", "1m30s", "2h".</summary>
internal static partial class DurationText
{
    /// <summary>False for anything but hours, minutes, seconds and milliseconds in that order, each a whole number with its unit.</summary>
    public static bool TryRead(string text, out Duration duration)
    {
        duration = new Duration();
        var match = Pattern().Match(text);
        if (!match.Success || text.Length == 0)
            return false;
        // Nine digits of hours are still within what a Duration holds.
        var seconds = (Part("h") * 3600) + (Part("m") * 60) + Part("s");
        var milliseconds = Part("ms");
        duration.Seconds = seconds + (milliseconds / 1000);
        duration.Nanos = (int)(milliseconds % 1000) * 1_000_000;
        return duration.Seconds <= Duration.MaxSeconds;

        long Part(string unit) => match.Groups[unit] is { Success: true } part ? long.Parse(part.Value, CultureInfo.InvariantCulture) : 0;
    }

    /// <summary>The shortest text that reads back to the same duration, to the millisecond.</summary>
    public static string Write(Duration duration)
    {
        var milliseconds = duration.Nanos / 1_000_000;
        var (hours, minutes, seconds) = (duration.Seconds / 3600, duration.Seconds / 60 % 60, duration.Seconds % 60);
        var text = (hours > 0 ? $"{hours}h" : "") + (minutes > 0 ? $"{minutes}m" : "")
            + (seconds > 0 ? $"{seconds}s" : "") + (milliseconds > 0 ? $"{milliseconds}ms" : "");
        return text.Length == 0 ? "0s" : text;
    }

    [GeneratedRegex("^(?:(?<h>[0-9]{1,9})h)?(?:(?<m>[0-9]{1,9})m(?!s))?(?:(?<s>[0-9]{1,9})s)?(?:(?<ms>[0-9]{1,9})ms)?\\z",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Pattern();
}
