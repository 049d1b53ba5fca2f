using System.Text.RegularExpressions;
using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Jobs;

/// <summary>How grave a line is: trainers write plain text, so its words tell.</summary>
internal static partial class LogLevels
{
    private const int Patience = 1_000; // ms of a match in a line of at most 16 KiB

    public static LogLevel Of(LogLine line) =>
        Grave().IsMatch(line.Text) ? LogLevel.Error : Warning().IsMatch(line.Text) ? LogLevel.Warning : LogLevel.Information;

    [GeneratedRegex(
        @"\b(error|fail|failed|failure|fatal|exception|traceback|killed|aborted|panic)\b",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex Grave();

    [GeneratedRegex(@"\b(warn|warning)\b", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex Warning();
}
