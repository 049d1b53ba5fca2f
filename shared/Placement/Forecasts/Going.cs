namespace Cluster.Placement.Forecasts;

/// <summary>A job that runs in one way in which it might go on.</summary>
/// <param name="again">As what it waits if it is stopped.</param>
internal sealed class Going(List<(int Pool, int Count)> pools, QueueState queue, Wait again)
{
    public static IComparer<Going> ByEnd { get; } = Comparer<Going>.Create((x, y) => x.At.CompareTo(y.At));

    public List<(int Pool, int Count)> Pools => pools;

    public int Devices { get; } = pools.Sum(each => each.Count);

    public QueueState Queue => queue;

    public DeviceClass Kind => Again.Kind;

    public Wait Again { get; set; } = again;

    /// <summary>It is on its way out, and comes again.</summary>
    public bool IsStopped { get; set; }

    /// <summary>It is never stopped.</summary>
    public bool IsNever { get; init; }

    /// <summary>When its devices are free.</summary>
    public double At { get; set; }

    public int DevicesIn(int[] which)
    {
        var devices = 0;
        foreach (var (pool, count) in pools)
            devices += Array.IndexOf(which, pool) < 0 ? 0 : count;
        return devices;
    }
}
