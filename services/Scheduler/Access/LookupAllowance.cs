namespace Cluster.Scheduler.Access;

/// <summary>So many queries a second for callers whom nobody knows, however many there are of them.</summary>
internal sealed class LookupAllowance(int aSecond, TimeProvider time)
{
    private readonly Lock _gate = new();
    private long _second;
    private int _taken;

    /// <returns>False: this second's are used up.</returns>
    public bool TryTake()
    {
        var second = time.GetUtcNow().ToUnixTimeSeconds();
        lock (_gate)
        {
            if (second != _second)
                (_second, _taken) = (second, 0);
            return ++_taken <= aSecond;
        }
    }
}
