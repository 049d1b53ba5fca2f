using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Cluster.Contracts.JobFiles;

/// <summary>A regular expression that a job file gives, to be looked for in what its trainers write.</summary>
/// <remarks>
/// Without what needs backtracking (back references, looking around), so that its time grows with a line's length and no faster; and
/// whatever it holds, one look at a line takes no longer than <see cref="Timeout"/>.
/// </remarks>
public static class LogPattern
{
    private const int Longest = 200;

    /// <summary>Far more than a line of 16 KiB takes, on a machine that is busy with other things, too.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    public static bool TryRead(string text, [NotNullWhen(true)] out Regex? pattern)
    {
        pattern = null;
        if (text.Length is 0 or > Longest)
            return false;
        try
        {
            pattern = new Regex(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, Timeout);
            return true;
        }
        catch (Exception wrong) when (wrong is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }
}
