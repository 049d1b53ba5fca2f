namespace Cluster.Worker.Training;

/// <summary>The heap of managed code, which only steers.</summary>
internal static class ManagedHeap
{
    private const double Grown = 1.25;

    private static long _committed; // after the last trim

    /// <summary>Gives the system what is free, once there is enough of it for the pause.</summary>
    /// <remarks>
    /// Left alone, the rank that writes checkpoints grew by 30 MiB in 2,000 steps: training hardly ever fills the oldest generation, so
    /// that what is large, and pools of buffers, are never given back.
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
