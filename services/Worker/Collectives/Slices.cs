namespace Cluster.Worker.Collectives;

/// <summary>How a buffer is divided among ranks: as evenly as whole elements allow, in rank order.</summary>
internal static class Slices
{
    public static (int Start, int Count) Of(int length, int parts, int part)
    {
        var start = (int)((long)length * part / parts);
        return (start, (int)((long)length * (part + 1) / parts) - start);
    }

    /// <summary>The size of the largest part.</summary>
    public static int Longest(int length, int parts) => (int)(((long)length + parts - 1) / parts);
}
