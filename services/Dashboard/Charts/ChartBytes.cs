using System.Runtime.InteropServices;

namespace Cluster.Dashboard.Charts;

/// <summary>
/// Points on their way to the browser: of each series its x, then its y, as 64-bit floats. JSON has no word for
/// what is not finite, and takes more bytes.
/// </summary>
internal static class ChartBytes
{
    public static byte[] Of(IReadOnlyList<ChartSeries> series)
    {
        var values = series.SelectMany(curve => curve.X.Concat(curve.Y)).ToArray();
        return MemoryMarshal.AsBytes<double>(values).ToArray();
    }
}
