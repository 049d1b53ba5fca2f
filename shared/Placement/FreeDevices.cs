using System.Collections.Immutable;

namespace Cluster.Placement;

/// <summary>
/// The devices that a placement cycle has left to give, as it gives them. What it gave is there again when this is disposed of.
/// </summary>
internal sealed class FreeDevices(NodeIndex nodes) : IDisposable
{
    private readonly Stack<Taken> _taken = [];
    private readonly Dictionary<(NodeGroup Group, DeviceClass Kind), Claim> _kept = [];
    private readonly Dictionary<(Node Node, DeviceClass Kind), Claim> _held = [];

    /// <summary>Takes what the job needs: on the fewest nodes, and of those on the ones that it fills best.</summary>
    /// <returns>
    /// The devices in rank order, ranks of one node next to each other; null if they are not there, and nothing is taken.
    /// </returns>
    public ImmutableArray<PlannedRank>? Take(WaitingJob job, Shape shape)
    {
        if (Choose(job, shape) is not var (kind, chosen))
            return null;
        var ranks = ImmutableArray.CreateBuilder<PlannedRank>(shape.Need.Devices);
        foreach (var (node, count) in chosen)
        {
            foreach (var index in Use(node, kind, count, shape.Need.Memory, DeviceUse.Given))
                ranks.Add(new PlannedRank(node.Id, node.Name, node.Epoch, node.Devices(kind).Id(index)));
        }

        return ranks.DrainToImmutable();
    }

    /// <summary>Sets aside what the job would take now: nobody after it gets that in this cycle.</summary>
    /// <param name="claim">Whom it is for, in words.</param>
    /// <returns>False if it would not fit now; then nothing is set aside.</returns>
    public bool Hold(WaitingJob job, Shape shape, string claim)
    {
        if (Choose(job, shape) is not var (kind, chosen))
            return false;
        foreach (var (node, count) in chosen)
        {
            Use(node, kind, count, shape.Need.Memory, DeviceUse.Held);
            _held.TryAdd((node, kind), new Claim(_kept.Count + _held.Count, claim));
        }

        return true;
    }

    /// <summary>Leaves to those of a shape that wait every device that they could use.</summary>
    /// <param name="claim">Whom they are left to, in words.</param>
    public void Keep(Shape shape, string claim)
    {
        foreach (var kind in shape.Need.Kinds)
        {
            foreach (var group in Usable(shape, kind))
                _kept.TryAdd((group, kind), new Claim(_kept.Count + _held.Count, claim));
        }
    }

    /// <summary>The first to whom devices are kept or held that the shape could use, on the first node where that is so.</summary>
    public string? ClaimOn(Shape shape)
    {
        foreach (var kind in shape.Need.Kinds)
        {
            var usable = Usable(shape, kind).ToHashSet();
            var kept = usable.Where(group => _kept.ContainsKey((group, kind))).Select(group => group.Nodes.Min!);
            var held = _held.Keys.Where(each => each.Kind == kind && usable.Contains(each.Node.Group)).Select(each => each.Node);
            if (kept.Concat(held).Min(NodeOrder.Instance) is { } claimed)
                return FirstOn(claimed, kind);
        }

        return null;
    }

    /// <summary>
    /// For the reason of one that waits: devices of its best kind that it could use, free ones (kept, held or not), idle ones (free, but
    /// perhaps without the memory for a rank) and all.
    /// </summary>
    public (int Free, int Idle, int All) Count(Shape shape) => shape.Need.Kinds.Select(kind => Count(shape, kind)).Max();

    public void Dispose()
    {
        while (_taken.TryPop(out var taken))
        {
            taken.Node.Group.Change(taken.Node, taken.Kind, taken.Devices, DeviceUse.Free);
            taken.Node.CpuLeft += taken.CpuBytes;
            taken.Node.CpuHeld = 0;
        }
    }

    private string FirstOn(Node node, DeviceClass kind)
    {
        var kept = _kept.TryGetValue((node.Group, kind), out var whole) ? whole : Claim.None;
        var held = _held.TryGetValue((node, kind), out var part) ? part : Claim.None;
        return kept.Order < held.Order ? kept.Words : held.Words;
    }

    private (int Free, int Idle, int All) Count(Shape shape, DeviceClass kind)
    {
        var need = shape.Need;
        var (open, idle, all) = (0, 0, 0);
        foreach (var group in shape.Admitted(nodes.Groups, nodes.GroupsVersion))
        {
            var could = need.Capped(group.Profile.Count(kind, need.Memory.On(kind)));
            all += could * group.Nodes.Count;
            var free = group.Profile.HoldsOnEach(kind, need.Memory.On(kind));
            for (var left = 1; left <= group.Most(kind); left++)
            {
                var those = group.WithLeft(kind, left);
                idle += Math.Min(could, left) * those.Count;
                open += free ? need.Capped(left) * those.Count : those.Sum(node => need.Capped(node.Room(kind, need.Memory)));
            }
        }

        // What is held counts as free, too.
        foreach (var (node, _) in _held.Keys.Where(held => held.Kind == kind && held.Node.Group.Profile.Admits(need)))
        {
            var could = need.Capped(node.Group.Profile.Count(kind, need.Memory.On(kind)));
            var (left, held) = (node.Left(kind), node.Devices(kind).Held);
            idle += Math.Min(could, left + held) - Math.Min(could, left);
            open += need.Capped(node.Room(kind, need.Memory, heldToo: true)) - need.Capped(node.Room(kind, need.Memory));
        }

        return (open, idle, all);
    }

    /// <summary>The preferred kind that does, without the nodes to avoid if possible.</summary>
    private (DeviceClass Kind, List<(Node Node, int Count)> Chosen)? Choose(WaitingJob job, Shape shape)
    {
        foreach (var kind in shape.Need.Kinds)
        {
            var open = shape.Admitted(nodes.Groups, nodes.GroupsVersion)
                .Where(group => group.Left(kind) > 0 && !_kept.ContainsKey((group, kind))).ToList();
            if (open.Sum(group => group.Left(kind)) < shape.Need.Devices)
                continue;
            var chosen = new GangChoice(shape.Need, kind, open, job.Avoid).Find();
            if (chosen is null && job.Avoid.Count > 0)
                chosen = new GangChoice(shape.Need, kind, open, GangChoice.None).Find();
            if (chosen is not null)
                return (kind, chosen);
        }

        return null;
    }

    private IEnumerable<NodeGroup> Usable(Shape shape, DeviceClass kind) =>
        shape.Admitted(nodes.Groups, nodes.GroupsVersion).Where(group => group.Profile.Count(kind, shape.Need.Memory.On(kind)) > 0);

    private int[] Use(Node node, DeviceClass kind, int count, RankMemory memory, DeviceUse use)
    {
        int[] picked = [.. node.Devices(kind).Pick(count, kind == DeviceClass.Cpu ? 0 : memory.Gpu)];
        var cpuBytes = kind == DeviceClass.Cpu ? count * memory.Cpu : 0;
        node.Group.Change(node, kind, picked, use);
        node.CpuLeft -= cpuBytes;
        node.CpuHeld += use == DeviceUse.Held ? cpuBytes : 0;
        _taken.Push(new Taken(node, kind, picked, cpuBytes));
        return picked;
    }

    private readonly record struct Taken(Node Node, DeviceClass Kind, int[] Devices, long CpuBytes);

    /// <param name="Order">Who came first has the smallest.</param>
    private readonly record struct Claim(int Order, string Words)
    {
        public static Claim None { get; } = new(int.MaxValue, "");
    }
}
