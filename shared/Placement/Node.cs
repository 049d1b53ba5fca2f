namespace Cluster.Placement;

/// <summary>A node with what is free on it.</summary>
internal sealed class Node(RegisteredNode registered, NodeGroup group)
{
    private readonly NodeDevices _cpu = new(DeviceClass.Cpu, registered.Devices);
    private readonly NodeDevices _cuda = new(DeviceClass.Cuda, registered.Devices);

    public NodeKey Id => registered.Id;

    public string Name => registered.Name;

    public long Epoch => registered.Epoch;

    public bool Usable => registered.Usable;

    public DateTimeOffset? LostAt => registered.LostAt;

    public bool Drained => registered.Drained;

    public NodeGroup Group => group;

    /// <summary>Memory that no rank on a CPU device is expected to take: neither granted, nor given or held in this cycle.</summary>
    public long CpuLeft { get; set; } = group.Profile.CpuBytes;

    /// <summary>Memory that this cycle holds for ranks of jobs that pause.</summary>
    public long CpuHeld { get; set; }

    public NodeDevices Devices(DeviceClass kind) => kind == DeviceClass.Cpu ? _cpu : _cuda;

    /// <summary>The device of that name; null if the node has none.</summary>
    public (DeviceClass Kind, int Index)? Find(string device)
    {
        if (_cpu.Find(device) is var cpu and >= 0)
            return (DeviceClass.Cpu, cpu);
        return _cuda.Find(device) is var cuda and >= 0 ? (DeviceClass.Cuda, cuda) : null;
    }

    /// <summary>How many devices can be given out now.</summary>
    public int Left(DeviceClass kind) => Usable ? Devices(kind).Left : 0;

    /// <summary>How many of a usable node's, and of those held if so asked, can each hold a rank beside what is given.</summary>
    public int Room(DeviceClass kind, RankMemory memory, bool heldToo = false)
    {
        var (devices, rankBytes) = (Devices(kind), memory.On(kind));
        var free = devices.Left + (heldToo ? devices.Held : 0);
        if (group.Profile.HoldsOnEach(kind, rankBytes))
            return free;
        return kind == DeviceClass.Cpu
            ? (int)Math.Min(free, group.Profile.CpuRanks(CpuLeft + (heldToo ? CpuHeld : 0), rankBytes))
            : devices.Holding(rankBytes, heldToo);
    }
}

/// <summary>By name, then by id, so that every scheduler chooses alike.</summary>
internal sealed class NodeOrder : IComparer<Node>
{
    public static NodeOrder Instance { get; } = new();

    public int Compare(Node? x, Node? y)
    {
        var byName = string.CompareOrdinal(x!.Name, y!.Name);
        return byName != 0 ? byName : x.Id.Value.CompareTo(y.Id.Value);
    }
}
