using System.Globalization;

namespace Cluster.Placement.Tests;

/// <summary>The rules of placement written down plainly: every job is looked at on every node. Slow, and to be compared with.</summary>
internal sealed class ReferencePlacement
{
    private readonly List<Machine> _machines;
    private readonly DateTimeOffset _now;
    private readonly PlacementPolicy _policy;

    private ReferencePlacement(ClusterPicture picture, DateTimeOffset now, PlacementPolicy policy)
    {
        var ordered = picture.Nodes.Values.OrderBy(n => n.Name, StringComparer.Ordinal).ThenBy(n => n.Id.Value);
        (_machines, _now, _policy) = ([.. ordered.Select((node, index) => new Machine(node, index, picture))], now, policy);
    }

    /// <returns>The devices of those that start, and why each of the others waits that does not pause.</returns>
    public static (Dictionary<JobKey, string[]> Starts, Dictionary<JobKey, Why> Waits) Decide(
        ClusterPicture picture, DateTimeOffset now, PlacementPolicy policy)
    {
        var placement = new ReferencePlacement(picture, now, policy);
        var (starts, waits, settled) = (new Dictionary<JobKey, string[]>(), new Dictionary<JobKey, Why>(), new Dictionary<string, Why>());
        foreach (var job in picture.Waiting.Values.OrderByDescending(j => j.Priority).ThenBy(j => j.Age).ThenBy(j => j.Id.Value))
        {
            var pauses = job.NotBefore > now;
            if (pauses && job.NotBefore - now > policy.LongestHold)
                continue;
            if (!settled.TryGetValue(job.Need.Shape(), out var why))
            {
                if (placement.Choose(job) is var (kind, chosen))
                {
                    var hold = pauses ? $"job {job.Id}, which" : null;
                    var ranks = chosen.SelectMany(c => c.Machine.Take(kind, c.Count, job.Need.Memory, hold)).ToArray();
                    if (!pauses)
                        starts.Add(job.Id, ranks);
                    continue;
                }

                settled.Add(job.Need.Shape(), why = placement.Judge(job.Need));
            }

            if (!pauses)
                waits.Add(job.Id, why);
            if (why.Keeps)
                placement.Keep(job);
        }

        return (starts, waits);
    }

    private (DeviceClass Kind, List<(Machine Machine, int Count)> Chosen)? Choose(WaitingJob job)
    {
        foreach (var kind in job.Need.Kinds)
        {
            var usable = _machines.Where(m => !m.Kept(kind) && m.Admits(job.Need)).ToList();
            var chosen = Choose(job.Need, kind, usable.Where(m => !job.Avoid.Contains(m.Node.Id))) ?? Choose(job.Need, kind, usable);
            if (chosen is not null)
                return (kind, chosen);
        }

        return null;
    }

    private static List<(Machine Machine, int Count)>? Choose(DeviceNeed need, DeviceClass kind, IEnumerable<Machine> machines)
    {
        // A stable sort: machines of equal room stay in their order.
        var rest = machines.Select(m => (Machine: m, Count: Capped(need, m.Room(kind, need.Memory, heldToo: false))))
            .Where(c => c.Count > 0).OrderByDescending(c => c.Count).ToList();
        if (rest.Sum(c => c.Count) < need.Devices)
            return null;
        var (wanted, chosen) = (need.Devices, new List<(Machine, int)>());
        while (rest[0].Count < wanted)
        {
            chosen.Add(rest[0]);
            wanted -= rest[0].Count;
            rest.RemoveAt(0);
        }

        var last = rest.Where(c => c.Count >= wanted).OrderBy(c => c.Machine.Left(kind)).ThenBy(c => c.Machine.Index).First();
        chosen.Add((last.Machine, wanted));
        return chosen;
    }

    private void Keep(WaitingJob job)
    {
        foreach (var kind in job.Need.Kinds)
            _machines.Where(m => CouldUse(m, job.Need, kind)).ToList().ForEach(m => m.Keep(kind, $"job {job.Id}"));
    }

    private Why Judge(DeviceNeed need)
    {
        if (!Suffice(need, _machines))
            return new Why(WaitCause.Infeasible, false, 0, 0, null);
        var (free, idle, all) = need.Kinds.Select(kind =>
        {
            var admitted = _machines.Where(m => m.Admits(need)).ToList();
            return (Free: admitted.Sum(m => Capped(need, m.Room(kind, need.Memory, heldToo: true))),
                Idle: admitted.Sum(m => Math.Min(Capped(need, m.Count(kind, need.Memory)), m.Free(kind))),
                All: admitted.Sum(m => Capped(need, m.Count(kind, need.Memory))));
        }).Max();
        var claims = need.Kinds.SelectMany(kind => _machines.Where(m => CouldUse(m, need, kind)).Select(m => m.Claim(kind)));
        var claim = claims.FirstOrDefault(c => c is not null);
        if (free >= need.Devices && claim is not null)
            return new Why(WaitCause.WaitingForTurn, true, free, all, claim);
        if (!Suffice(need, _machines.Where(m => !m.Node.Drained && (m.Node.LostAt is null || _now - m.Node.LostAt < _policy.LostNodeHold))))
            return new Why(WaitCause.WaitingForNode, false, free, all, null);
        if (!Suffice(need, _machines.Where(m => !m.Node.Drained && m.Node.LostAt is null)))
            return new Why(WaitCause.WaitingForNode, true, free, all, null);
        var cause = idle > free && idle >= need.Devices ? WaitCause.WaitingForMemory : WaitCause.WaitingForDevices;
        return new Why(cause, true, free, all, null);
    }

    private static bool Suffice(DeviceNeed need, IEnumerable<Machine> machines) =>
        need.Kinds.Any(kind => machines.Where(m => m.Admits(need)).Sum(m => Capped(need, m.Count(kind, need.Memory))) >= need.Devices);

    private static bool CouldUse(Machine machine, DeviceNeed need, DeviceClass kind) =>
        machine.Admits(need) && machine.Count(kind, need.Memory) > 0;

    private static int Capped(DeviceNeed need, int count) => need.MaxPerNode > 0 ? Math.Min(need.MaxPerNode, count) : count;

    /// <param name="Claim">For whom the free devices are kept: the beginning of the words.</param>
    public sealed record Why(WaitCause Cause, bool Keeps, int Free, int All, string? Claim);

    private sealed class Machine
    {
        private readonly List<RegisteredDevice> _left;
        private readonly List<RegisteredDevice> _held = [];
        private readonly Dictionary<DeviceClass, string> _claims = [];
        private readonly HashSet<DeviceClass> _kept = [];
        private long _cpuLeft;
        private long _cpuHeld;

        public Machine(RegisteredNode node, int index, ClusterPicture picture)
        {
            (Node, Index) = (node, index);
            var granted = picture.Granted.Values
                .SelectMany(g => g.Devices.Where(d => d.Node == node.Id).Select(d => (d.Device, g.Memory.Cpu))).ToDictionary();
            _left = [.. node.Devices.Where(d => node.Usable && !granted.ContainsKey(d.Id))
                .OrderBy(d => int.Parse(d.Id.Split(':')[1], CultureInfo.InvariantCulture))];
            _cpuLeft = CpuBytes - node.Devices.Where(d => d.Kind == DeviceClass.Cpu).Sum(d => granted.GetValueOrDefault(d.Id));
        }

        public RegisteredNode Node { get; }

        public int Index { get; }

        private long CpuBytes => Node.Devices.Where(d => d.Kind == DeviceClass.Cpu).Sum(d => d.MemoryBytes);

        public bool Admits(DeviceNeed need) =>
            (need.DataSet.Length == 0 || Node.DataSets.Contains(need.DataSet)) && need.Labels.All(l => Node.Labels.Contains(l));

        public bool Kept(DeviceClass kind) => _kept.Contains(kind);

        public string? Claim(DeviceClass kind) => _claims.GetValueOrDefault(kind);

        public int Left(DeviceClass kind) => _left.Count(d => d.Kind == kind);

        public int Free(DeviceClass kind) => _left.Concat(_held).Count(d => d.Kind == kind);

        public int Count(DeviceClass kind, RankMemory memory) => Ranks(Node.Devices, kind, memory, CpuBytes);

        public int Room(DeviceClass kind, RankMemory memory, bool heldToo) =>
            heldToo ? Ranks(_left.Concat(_held), kind, memory, _cpuLeft + _cpuHeld) : Ranks(_left, kind, memory, _cpuLeft);

        public void Keep(DeviceClass kind, string claim)
        {
            _kept.Add(kind);
            _claims.TryAdd(kind, claim);
        }

        public IEnumerable<string> Take(DeviceClass kind, int count, RankMemory memory, string? hold)
        {
            var taken = _left.Where(d => d.Kind == kind && (kind == DeviceClass.Cpu || d.MemoryBytes == 0 || d.MemoryBytes >= memory.Gpu))
                .Take(count).ToList();
            _left.RemoveAll(taken.Contains);
            if (kind == DeviceClass.Cpu)
                _cpuLeft -= count * memory.Cpu;
            if (hold is not null)
            {
                _held.AddRange(taken);
                _claims.TryAdd(kind, hold);
                if (kind == DeviceClass.Cpu)
                    _cpuHeld += count * memory.Cpu;
            }

            return taken.Select(d => $"{Node.Id}/{d.Id}");
        }

        /// <summary>One by one: how many ranks of the memory the devices have room for.</summary>
        private int Ranks(IEnumerable<RegisteredDevice> devices, DeviceClass kind, RankMemory memory, long cpuBytes)
        {
            var (ranks, rankBytes) = (0, memory.On(kind));
            foreach (var device in devices.Where(d => d.Kind == kind))
            {
                if (rankBytes > 0 && kind == DeviceClass.Cuda && device.MemoryBytes > 0 && device.MemoryBytes < rankBytes)
                    continue;
                if (rankBytes > 0 && kind == DeviceClass.Cpu && CpuBytes > 0 && (cpuBytes -= rankBytes) < 0)
                    break;
                ranks++;
            }

            return ranks;
        }
    }
}
