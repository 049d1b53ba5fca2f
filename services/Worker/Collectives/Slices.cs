namespace Cluster.Worker.Collectives;

/// <summary>How a buffer is divided among ranks: as evenly as whole elements allow, in rank order.</summary>
internal static class Slices
{
    public static (int Start, int Count) Of(int length, int parts, int part)
    {
        var (start, count) = Of((long)length, parts, part);
        return ((int)start, (int)count);
    }

    public static (long Start, long Count) Of(long length, int parts, int part)
    {
        var start = Place(length, parts, part);
        return (start, Place(length, parts, part + 1) - start);
    }

    // Without length · part, which may exceed 64 bits in principle and reads worse in practice.
    private static long Place(long length, int parts, int part) => (length / parts * part) + (length % parts * part / parts);
}
