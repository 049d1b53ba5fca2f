namespace Cluster.Placement.Backfill;

/// <summary>Starts that this cycle promises, node by node: who starts meanwhile must not be in their way.</summary>
internal sealed class ReservationBook
{
    private readonly Dictionary<(Node Node, DeviceClass Kind), List<Entry>> _entries = [];

    public bool IsEmpty => _entries.Count == 0;

    /// <param name="at">When the devices are needed.</param>
    /// <param name="room">What is free on the node by then, if nobody else takes it.</param>
    /// <param name="claim">Whom they are for, in words.</param>
    public void Reserve(Node node, DeviceClass kind, DateTimeOffset at, Amount wanted, Amount room, string claim)
    {
        if (!_entries.TryGetValue((node, kind), out var entries))
            _entries.Add((node, kind), entries = []);
        entries.Add(new Entry(at, wanted, claim) { Room = room });
        entries.Sort((x, y) => x.At.CompareTo(y.At));
    }

    /// <summary>All that is promised of a node.</summary>
    public Amount Reserved(Node node, DeviceClass kind)
    {
        var sum = default(Amount);
        foreach (var entry in EntriesOf(node, kind))
            sum += entry.Wanted;
        return sum;
    }

    /// <summary>How many ranks may run on the node until then, for all that is promised.</summary>
    public long Allowed(Node node, DeviceClass kind, RankMemory memory, DateTimeOffset until)
    {
        if (!_entries.TryGetValue((node, kind), out var entries))
            return long.MaxValue;
        var (allowed, promised) = (long.MaxValue, default(Amount));
        foreach (var entry in entries.TakeWhile(entry => entry.At < until))
        {
            promised += entry.Wanted;
            allowed = Math.Min(allowed, (entry.Room - promised).Ranks(node, kind, memory));
        }

        return allowed;
    }

    /// <summary>Somebody has taken so much until then.</summary>
    public void Take(Node node, DeviceClass kind, DateTimeOffset until, Amount taken)
    {
        foreach (var entry in EntriesOf(node, kind).Where(entry => entry.At < until))
            entry.Room -= taken;
    }

    /// <summary>Nodes of which something is promised, with for whom first.</summary>
    public IEnumerable<(Node Node, string Claim)> Claims(DeviceClass kind) =>
        _entries.Where(each => each.Key.Kind == kind).Select(each => (each.Key.Node, each.Value[0].Claim));

    private List<Entry> EntriesOf(Node node, DeviceClass kind) => _entries.GetValueOrDefault((node, kind)) ?? [];

    private sealed record Entry(DateTimeOffset At, Amount Wanted, string Claim)
    {
        public Amount Room { get; set; }
    }
}

/// <summary>Devices of a node, and the memory beside CPU devices.</summary>
internal readonly record struct Amount(long Devices, long CpuBytes)
{
    public static Amount operator +(Amount x, Amount y) => new(x.Devices + y.Devices, x.CpuBytes + y.CpuBytes);

    public static Amount operator -(Amount x, Amount y) => new(x.Devices - y.Devices, x.CpuBytes - y.CpuBytes);

    public static Amount Of(int ranks, DeviceClass kind, RankMemory memory) =>
        new(ranks, kind == DeviceClass.Cpu ? ranks * memory.Cpu : 0);

    /// <summary>How many ranks it has room for.</summary>
    public long Ranks(Node node, DeviceClass kind, RankMemory memory)
    {
        // GPUs of different sizes: which one is left is not kept count of.
        if (kind == DeviceClass.Cuda)
            return node.Group.Profile.HoldsOnEach(kind, memory.Gpu) ? Math.Max(0, Devices) : 0;
        return Math.Max(0, Math.Min(Devices, node.Group.Profile.CpuRanks(CpuBytes, memory.Cpu)));
    }
}
