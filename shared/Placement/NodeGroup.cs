namespace Cluster.Placement;

/// <summary>The nodes of one profile, found by how many of their devices are left.</summary>
internal sealed class NodeGroup(string key, NodeProfile profile)
{
    private readonly SortedSet<Node>[][] _byLeft =
    [
        Levels(profile.Count(DeviceClass.Cpu)),
        Levels(profile.Count(DeviceClass.Cuda)),
    ];

    private readonly long[] _left = new long[2];

    public string Key => key;

    public NodeProfile Profile => profile;

    /// <summary>All, lost ones too.</summary>
    public SortedSet<Node> Nodes { get; } = new(NodeOrder.Instance);

    /// <summary>How many devices are left on all nodes together.</summary>
    public long Left(DeviceClass kind) => _left[(int)kind];

    /// <summary>The most devices that a node has.</summary>
    public int Most(DeviceClass kind) => _byLeft[(int)kind].Length - 1;

    /// <summary>The nodes on which just so many devices are left, at least one.</summary>
    public SortedSet<Node> WithLeft(DeviceClass kind, int left) => _byLeft[(int)kind][left];

    public void Add(Node node)
    {
        Nodes.Add(node);
        Include(node, DeviceClass.Cpu);
        Include(node, DeviceClass.Cuda);
    }

    public void Remove(Node node)
    {
        Nodes.Remove(node);
        Exclude(node, DeviceClass.Cpu);
        Exclude(node, DeviceClass.Cuda);
    }

    /// <summary>Puts devices of a node to another use.</summary>
    /// <param name="devices">Their places among those of the kind.</param>
    public void Change(Node node, DeviceClass kind, ReadOnlySpan<int> devices, DeviceUse use)
    {
        Exclude(node, kind);
        foreach (var device in devices)
            node.Devices(kind).Become(device, use);
        Include(node, kind);
    }

    private void Include(Node node, DeviceClass kind)
    {
        if (node.Left(kind) is not (var left and > 0))
            return;
        _byLeft[(int)kind][left].Add(node);
        _left[(int)kind] += left;
    }

    private void Exclude(Node node, DeviceClass kind)
    {
        if (node.Left(kind) is not (var left and > 0))
            return;
        _byLeft[(int)kind][left].Remove(node);
        _left[(int)kind] -= left;
    }

    private static SortedSet<Node>[] Levels(int devices) =>
        [.. Enumerable.Range(0, devices + 1).Select(_ => new SortedSet<Node>(NodeOrder.Instance))];
}
