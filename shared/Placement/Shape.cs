namespace Cluster.Placement;

/// <summary>What waiting jobs of one shape share.</summary>
internal sealed class Shape(string key, DeviceNeed need)
{
    private IReadOnlyList<NodeGroup> _admitted = [];
    private long _asOf = -1;

    public string Key => key;

    public DeviceNeed Need => need;

    /// <summary>How many queues have jobs of it.</summary>
    public int Queues { get; set; }

    /// <summary>The groups whose nodes will do, found once for as long as there are no others.</summary>
    /// <param name="version">Another one when there are other groups.</param>
    public IReadOnlyList<NodeGroup> Admitted(IEnumerable<NodeGroup> groups, long version)
    {
        if (_asOf != version)
            (_admitted, _asOf) = ([.. groups.Where(group => group.Profile.Admits(need))], version);
        return _admitted;
    }
}

/// <summary>The jobs of one queue and one shape, first come first.</summary>
internal sealed class WaitingBucket(QueueKey queue, Shape shape)
{
    public QueueKey Queue => queue;

    public Shape Shape => shape;

    public SortedSet<WaitingJob> Jobs { get; } = new(QueueOrder.Instance);
}
