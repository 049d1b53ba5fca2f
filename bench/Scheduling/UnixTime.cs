using System.Globalization;

namespace Cluster.Bench.Scheduling;

/// <summary>The machine's clock as seconds since 1970, which every process on it reads alike: bash's <c>EPOCHREALTIME</c>.</summary>
internal static class UnixTime
{
    public static double Now() => (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds;

    /// <remarks>With a comma before the microseconds, in some languages.</remarks>
    public static double Parse(string text) => double.Parse(text.Replace(',', '.'), CultureInfo.InvariantCulture);
}
