namespace Cluster.Worker.Training;

/// <summary>The heap of managed code, which only steers.</summary>
internal static class ManagedHeap
{
    private const double Grown = 1.25;

    private static long _committed; // after the last trim

    /// <summary>Gives the system what is free, once there is enough of it for the pause.</summary>
    /// <remarks>
    /// Left alone, it keeps what checkpoints took: their chunks are among its large objects and pooled buffers, which are only given back
    /// when its oldest generation is collected, and training hardly ever fills that.
    /// </remarks>
    public static void Trim()
    {
        var committed = GC.GetGCMemoryInfo().TotalCommittedBytes;
        if (committed < Grown * _committed)
            return;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _committed = GC.GetGCMemoryInfo().TotalCommittedBytes;
    }
}
