namespace Cluster.Placement;

/// <summary>Nodes by profile, with what is granted on them.</summary>
internal sealed class NodeIndex
{
    private readonly Dictionary<NodeKey, Node> _nodes = [];
    private readonly Dictionary<string, NodeGroup> _groups = [];

    // By node too, since a node may register anew, or first, with what is granted on it.
    private readonly Dictionary<JobKey, ClusterChange.JobGranted> _grants = [];
    private readonly Dictionary<NodeKey, Dictionary<string, JobKey>> _holders = [];

    private readonly long[] _registered = new long[2];

    public IReadOnlyCollection<NodeGroup> Groups => _groups.Values;

    /// <summary>How many devices of a kind are registered.</summary>
    public long Registered(DeviceClass kind) => _registered[(int)kind];

    /// <summary>Another one when there are other groups.</summary>
    public long GroupsVersion { get; private set; }

    /// <summary>Lost ones and drained ones, in the nodes' order.</summary>
    public SortedSet<Node> Away { get; } = new(NodeOrder.Instance);

    public Node? Find(NodeKey id) => _nodes.GetValueOrDefault(id);

    public void Put(RegisteredNode registered)
    {
        Remove(registered.Id);
        var key = NodeProfile.KeyOf(registered);
        if (!_groups.TryGetValue(key, out var group))
        {
            _groups.Add(key, group = new NodeGroup(key, new NodeProfile(registered)));
            GroupsVersion++;
        }

        var node = new Node(registered, group);
        _nodes.Add(node.Id, node);
        group.Add(node);
        Count(group, 1);
        if (node.LostAt is not null || node.Drained)
            Away.Add(node);
        foreach (var (device, job) in _holders.GetValueOrDefault(node.Id) ?? [])
            Use(node.Id, device, _grants[job].Memory, DeviceUse.Granted);
    }

    public void Remove(NodeKey id)
    {
        if (!_nodes.Remove(id, out var node))
            return;
        node.Group.Remove(node);
        Count(node.Group, -1);
        Away.Remove(node);
        if (node.Group.Nodes.Count > 0)
            return;
        _groups.Remove(node.Group.Key);
        GroupsVersion++;
    }

    public void Grant(ClusterChange.JobGranted granted)
    {
        _grants.Add(granted.Job, granted);
        foreach (var (node, device) in granted.Devices)
        {
            if (!_holders.TryGetValue(node, out var held))
                _holders.Add(node, held = []);
            // Told of its new holder before of the end of the old one.
            if (held.TryGetValue(device, out var before))
                Use(node, device, _grants[before].Memory, DeviceUse.Free);
            held[device] = granted.Job;
            Use(node, device, granted.Memory, DeviceUse.Granted);
        }
    }

    public void Release(JobKey job)
    {
        if (!_grants.Remove(job, out var granted))
            return;
        foreach (var (node, device) in granted.Devices)
        {
            if (!_holders.TryGetValue(node, out var held) || !held.TryGetValue(device, out var holder) || holder != job)
                continue;
            held.Remove(device);
            Use(node, device, granted.Memory, DeviceUse.Free);
            if (held.Count == 0)
                _holders.Remove(node);
        }
    }

    public string Describe() => string.Join('\n', _nodes.Values.Order(NodeOrder.Instance).Select(Words));

    private static string Words(Node node) =>
        $"{node.Name} {node.Id} {node.Epoch} {node.Usable} {node.Drained} {node.LostAt:O} {node.CpuLeft} {node.Group.Key}: "
        + string.Join(", ", Enum.GetValues<DeviceClass>().SelectMany(kind => Enumerable.Range(0, node.Group.Profile.Count(kind)).Select(
            i => $"{node.Devices(kind).Id(i)} {node.Devices(kind).Use(i)}")));

    private void Count(NodeGroup group, int nodes)
    {
        foreach (var kind in Enum.GetValues<DeviceClass>())
            _registered[(int)kind] += nodes * group.Profile.Count(kind);
    }

    private void Use(NodeKey id, string device, RankMemory memory, DeviceUse use)
    {
        if (!_nodes.TryGetValue(id, out var node) || node.Find(device) is not var (kind, index))
            return;
        node.Group.Change(node, kind, [index], use);
        if (kind == DeviceClass.Cpu)
            node.CpuLeft += use == DeviceUse.Free ? memory.Cpu : -memory.Cpu;
    }
}
