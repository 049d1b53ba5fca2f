using Cluster.Placement.Queues;

namespace Cluster.Placement;

/// <summary>What waiting jobs of one shape share.</summary>
internal sealed class Shape(string key, DeviceNeed need)
{
    private IReadOnlyList<NodeGroup> _admitted = [];
    private long _asOf = -1;

    public string Key => key;

    public DeviceNeed Need => need;

    /// <summary>How many buckets have jobs of it.</summary>
    public int Buckets { get; set; }

    /// <summary>The groups whose nodes will do, found once for as long as there are no others.</summary>
    /// <param name="version">Another one when there are other groups.</param>
    public IReadOnlyList<NodeGroup> Admitted(IEnumerable<NodeGroup> groups, long version)
    {
        if (_asOf != version)
            (_admitted, _asOf) = ([.. groups.Where(group => group.Profile.Admits(need))], version);
        return _admitted;
    }
}

/// <summary>Jobs that a decision cannot tell apart but by who comes first, first come first.</summary>
/// <param name="line">Where they wait: their queue, if it is declared.</param>
internal sealed class WaitingBucket(BucketKey key, Shape shape, QueueNode line)
{
    public BucketKey Key => key;

    public QueueKey Queue => key.Queue;

    public Shape Shape => shape;

    public QueueNode Line => line;

    public SortedSet<WaitingJob> Jobs { get; } = new(QueueOrder.Instance);
}

/// <param name="RuntimeClass">Jobs of one class run about equally long; 0: it is not known how long.</param>
/// <param name="Owner">Empty where owners are not told apart.</param>
internal readonly record struct BucketKey(QueueKey Queue, string Shape, int RuntimeClass, string Owner)
{
    // Two classes to each doubling: what the first of a bucket may not do for its length, the others may not either, but for that.
    private const int ClassesPerDoubling = 2;

    public static int ClassOf(WaitingJob job) => job.Runtime is not { } runtime ? 0
        : 1 + (int)Math.Ceiling(ClassesPerDoubling * Math.Log2(Math.Max(1, runtime.Late.TotalSeconds)));
}
