namespace Cluster.Placement.Queues;

/// <summary>How much of the cluster queues have beyond what is owed to them, against their weights.</summary>
internal sealed class Shares(Func<DeviceClass, long> capacity, DateTimeOffset now, PlacementPolicy policy)
{
    private static readonly DeviceClass[] Kinds = Enum.GetValues<DeviceClass>();

    private readonly Dictionary<QueueNode, DeviceCounts> _past = [];

    /// <summary>Of the kind of which it has most; past use counts beside the present one. 0: nothing beyond its quota.</summary>
    public double Of(QueueNode queue)
    {
        var past = PastOf(queue);
        var most = 0.0;
        foreach (var kind in Kinds)
        {
            var used = queue.Borrowed(kind) + (policy.PastUseWeight * past[kind]);
            most = Math.Max(most, used / Math.Max(1, capacity(kind)));
        }

        return most / queue.Weight;
    }

    /// <summary>Whether the job would leave the queue within its quota.</summary>
    public static bool IsOwed(QueueNode queue, DeviceNeed need)
    {
        foreach (var kind in need.Kinds)
        {
            if (IsOwed(queue, kind, need.Fewest))
                return true;
        }

        return false;
    }

    public static bool IsOwed(QueueNode queue, DeviceClass kind, int devices) => queue.Used(kind) + devices <= queue.Nominal(kind);

    private DeviceCounts PastOf(QueueNode queue)
    {
        if (ReferenceEquals(queue.Past, PastUse.None))
            return default;
        if (!_past.TryGetValue(queue, out var past))
            _past.Add(queue, past = queue.Past.At(now, policy.HalfLife));
        return past;
    }
}
