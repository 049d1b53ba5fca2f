using System.Collections.Immutable;

namespace Cluster.Placement.Backfill;

/// <summary>How many ranks of a job there is room for, as running jobs' devices come free.</summary>
/// <remarks>What the cycle has promised to others counts as taken from now on: how long those run is not known.</remarks>
internal sealed class RoomTally
{
    private readonly DeviceNeed _need;
    private readonly DeviceClass _kind;
    private readonly NodeIndex _nodes;
    private readonly ReservationBook _book;
    private readonly HashSet<NodeGroup> _open;
    private readonly Dictionary<Node, Amount> _freed = [];

    /// <param name="open">Of these nodes only.</param>
    public RoomTally(DeviceNeed need, DeviceClass kind, NodeIndex nodes, IEnumerable<NodeGroup> open, ReservationBook book)
    {
        (_need, _kind, _nodes, _open, _book) = (need, kind, nodes, [.. open], book);
        Ranks = Idle().Sum(RoomOn);
    }

    private long Ranks { get; set; }

    /// <summary>How many there are too few.</summary>
    public long Lack => _need.Devices - Ranks;

    public bool Fits => Lack <= 0;

    /// <summary>Devices of use that running jobs free.</summary>
    public long Freed { get; private set; }

    /// <summary>The devices are free.</summary>
    /// <returns>How many of them there are of use: an upper bound of what the room grows by.</returns>
    public int Free(ImmutableArray<GrantedDevice> devices, RankMemory memory) => Change(devices, memory, 1);

    /// <summary>Takes back what was said to be free.</summary>
    public void Unfree(ImmutableArray<GrantedDevice> devices, RankMemory memory) => Change(devices, memory, -1);

    /// <summary>Whether the device is of use.</summary>
    public bool Counts(GrantedDevice device) => NodeOf(device) is not null;

    /// <summary>On which nodes the job would be, those that have room latest first: others may use what is idle until then.</summary>
    public List<(Node Node, int Ranks, Amount Room)> Spread()
    {
        var (wanted, spread) = (_need.Devices, new List<(Node, int, Amount)>());
        var rooms = Idle().Union(_freed.Keys).Select(node => (Node: node, Ranks: RoomOn(node))).Where(room => room.Ranks > 0)
            .OrderByDescending(room => _freed.ContainsKey(room.Node)).ThenByDescending(room => room.Ranks)
            .ThenBy(room => room.Node, NodeOrder.Instance);
        foreach (var (node, ranks) in rooms)
        {
            if (wanted <= 0)
                break;
            var taken = (int)Math.Min(wanted, ranks);
            spread.Add((node, taken, Left(node) + _freed.GetValueOrDefault(node)));
            wanted -= taken;
        }

        return spread;
    }

    private IEnumerable<Node> Idle() => _open.SelectMany(group =>
        Enumerable.Range(1, group.Most(_kind)).SelectMany(left => group.WithLeft(_kind, left)));

    private int Change(ImmutableArray<GrantedDevice> devices, RankMemory memory, int sign)
    {
        // Ranks of one node stand together mostly; where they do not, a node has its turn several times.
        var of = 0;
        for (int i = 0, end; i < devices.Length; i = end)
        {
            var count = 0;
            for (end = i; end < devices.Length && devices[end].Node == devices[i].Node; end++)
                count += Counts(devices[end]) ? 1 : 0;
            if (count == 0)
                continue;
            var node = _nodes.Find(devices[i].Node)!;
            var before = RoomOn(node);
            var freed = _freed.GetValueOrDefault(node) + Amount.Of(sign * count, _kind, memory);
            if (freed == default)
                _freed.Remove(node);
            else
                _freed[node] = freed;
            Ranks += RoomOn(node) - before;
            Freed += sign * count;
            of += count;
        }

        return of;
    }

    private Node? NodeOf(GrantedDevice device) =>
        _nodes.Find(device.Node) is { Usable: true } node && _open.Contains(node.Group)
        && !_need.Excluded.Contains(node.Id) && node.Find(device.Device) is var (kind, index)
        && kind == _kind && node.Devices(kind).Holds(index, _need.Memory.On(kind)) ? node : null;

    private Amount Left(Node node) => _kind == DeviceClass.Cuda && node.Usable
        ? new Amount(node.Devices(_kind).Holding(_need.Memory.Gpu, heldToo: false), node.CpuLeft)
        : new Amount(node.Left(_kind), node.CpuLeft);

    private long RoomOn(Node node)
    {
        if (_need.Excluded.Contains(node.Id))
            return 0;
        var room = Left(node) + _freed.GetValueOrDefault(node) - _book.Reserved(node, _kind);
        var ranks = _kind == DeviceClass.Cuda ? Math.Max(0, room.Devices) : room.Ranks(node, _kind, _need.Memory);
        return _need.Capped((int)ranks);
    }
}
