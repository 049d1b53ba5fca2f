using System.Collections.Immutable;
using Cluster.Placement.Backfill;

namespace Cluster.Placement;

/// <summary>
/// The devices that a placement cycle has left to give, as it gives them. What it gave is there again when this is disposed of.
/// </summary>
internal sealed class FreeDevices(NodeIndex nodes) : IDisposable
{
    private readonly List<Taken> _taken = [];
    private readonly Dictionary<(NodeGroup Group, DeviceClass Kind), Claim> _kept = [];
    private readonly Dictionary<(Node Node, DeviceClass Kind), Claim> _held = [];
    private readonly Dictionary<JobKey, List<Taken>> _own = [];

    /// <summary>Starts that are promised for later.</summary>
    public ReservationBook Book { get; } = new();

    /// <summary>Takes what the job needs: on the fewest nodes, and of those on the ones that it fills best.</summary>
    /// <param name="until">When it has ended: it is in the way of no start that is promised before.</param>
    /// <param name="most">Of each kind that it may have, how many; as many as possible are taken, down to the fewest that do.</param>
    /// <returns>
    /// The devices in rank order, ranks of one node next to each other; null if they are not there, and nothing is taken.
    /// </returns>
    public Placed? Take(WaitingJob job, Shape shape, DateTimeOffset until, IReadOnlyList<(DeviceClass Kind, int Most)> most)
    {
        foreach (var (kind, limit) in most)
        {
            if (Widest(job, shape, kind, limit, until) is { } chosen)
                return new Placed(kind, Give(chosen, kind, shape.Need.Memory, until));
        }

        return null;
    }

    /// <summary>Takes the job's own devices, if every one of them is free; of an elastic job those that are, if they are enough.</summary>
    public Placed? TakeOwn(WaitingJob job, Shape shape, DateTimeOffset until, IReadOnlyList<(DeviceClass Kind, int Most)> most)
    {
        var limit = most.Where(each => each.Kind == job.Own[0].Kind).Sum(each => each.Most);
        if (OwnOf(job, shape, until, limit) is not var (kind, chosen))
            return null;
        foreach (var (node, devices) in chosen)
            Use(node, kind, devices, shape.Need.Memory, DeviceUse.Given, until);
        return new Placed(
            kind, [.. chosen.SelectMany(each => each.Devices.Select(index => Rank(each.Node, each.Node.Devices(kind).Id(index))))]);
    }

    /// <summary>Sets aside the job's own devices, for a moment and against those of no higher priority.</summary>
    public void HoldOwn(WaitingJob job, Shape shape, string claim)
    {
        if (OwnOf(job, shape, DateTimeOffset.MaxValue, job.Own.Length) is not var (kind, chosen))
            return;
        var before = _taken.Count;
        foreach (var (node, devices) in chosen)
        {
            Use(node, kind, devices, shape.Need.Memory, DeviceUse.Held, DateTimeOffset.MaxValue);
            _held.TryAdd((node, kind), new Claim(_kept.Count + _held.Count, claim));
        }

        _own.Add(job.Id, _taken[before..]);
    }

    /// <summary>Whether its own devices are set aside for the job.</summary>
    public bool HoldsOwn(JobKey job) => _own.ContainsKey(job);

    /// <summary>Gives up what is set aside for the job, to one of a higher priority.</summary>
    public void YieldOwn(JobKey job)
    {
        if (!_own.Remove(job, out var own))
            return;
        foreach (var taken in own)
        {
            _taken.Remove(taken);
            taken.Node.Group.Change(taken.Node, taken.Kind, taken.Devices, DeviceUse.Free);
            taken.Node.CpuLeft += taken.CpuBytes;
            taken.Node.CpuHeld -= taken.CpuBytes;
            _held.Remove((taken.Node, taken.Kind));
        }
    }

    /// <summary>Sets aside what the job would take now: nobody after it gets that in this cycle.</summary>
    /// <param name="claim">Whom it is for, in words.</param>
    /// <returns>False if it would not fit now; then nothing is set aside.</returns>
    public bool Hold(WaitingJob job, Shape shape, string claim)
    {
        foreach (var kind in shape.Need.Kinds)
        {
            if (Choose(job, shape, shape.Need.AtFewest(), kind, DateTimeOffset.MaxValue) is not { } chosen)
                continue;
            foreach (var (node, count) in chosen)
            {
                Use(node, kind, Pick(node, kind, count, shape.Need.Memory), shape.Need.Memory, DeviceUse.Held, DateTimeOffset.MaxValue);
                _held.TryAdd((node, kind), new Claim(_kept.Count + _held.Count, claim));
            }

            return true;
        }

        return false;
    }

    /// <summary>More devices for a job that runs, as many as are there; nothing is promised of them and nobody waits for them.</summary>
    /// <param name="avoid">Not on these nodes.</param>
    /// <param name="open">On those of these groups.</param>
    public ImmutableArray<PlannedRank> Extend(DeviceNeed need, DeviceClass kind, IReadOnlyList<NodeGroup> open, IReadOnlySet<NodeKey> avoid)
    {
        for (var count = (int)Math.Min(need.Devices, Room(open, kind)); count > 0; count--)
        {
            var fewer = need with { Devices = count, MinDevices = 0 };
            if (new GangChoice(fewer, kind, open, avoid, Book, DateTimeOffset.MaxValue).Find() is { } chosen)
                return Give(chosen, kind, need.Memory, DateTimeOffset.MaxValue);
        }

        return [];
    }

    /// <summary>The groups of nodes that the shape may have, without those that are kept for others.</summary>
    public List<NodeGroup> Unkept(Shape shape, DeviceClass kind) =>
        [.. shape.Admitted(nodes.Groups, nodes.GroupsVersion).Where(group => !_kept.ContainsKey((group, kind)))];

    /// <summary>How many devices are free in all.</summary>
    public long Left(DeviceClass kind) => nodes.Groups.Sum(group => group.Left(kind));

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
            var promised = Book.Claims(kind).Where(each => usable.Contains(each.Node.Group))
                .ToDictionary(each => each.Node, each => each.Claim);
            if (kept.Concat(held).Concat(promised.Keys).Min(NodeOrder.Instance) is { } claimed)
                return FirstOn(claimed, kind) ?? promised[claimed];
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
        foreach (var taken in _taken)
        {
            taken.Node.Group.Change(taken.Node, taken.Kind, taken.Devices, DeviceUse.Free);
            taken.Node.CpuLeft += taken.CpuBytes;
            taken.Node.CpuHeld = 0;
        }
    }

    private string? FirstOn(Node node, DeviceClass kind)
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
        foreach (var (node, _) in _held.Keys.Where(held =>
            held.Kind == kind && held.Node.Group.Profile.Admits(need) && !need.Excluded.Contains(held.Node.Id)))
        {
            var could = need.Capped(node.Group.Profile.Count(kind, need.Memory.On(kind)));
            var (left, held) = (node.Left(kind), node.Devices(kind).Held);
            idle += Math.Min(could, left + held) - Math.Min(could, left);
            open += need.Capped(node.Room(kind, need.Memory, heldToo: true)) - need.Capped(node.Room(kind, need.Memory));
        }

        foreach (var node in need.Excluded.Select(nodes.Find).OfType<Node>().Where(node => node.Group.Profile.Admits(need)))
        {
            var could = need.Capped(node.Group.Profile.Count(kind, need.Memory.On(kind)));
            all -= could;
            idle -= Math.Min(could, node.Left(kind));
            open -= node.Usable ? need.Capped(node.Room(kind, need.Memory)) : 0;
        }

        return (open, idle, all);
    }

    /// <summary>As many devices as there are, up to a limit.</summary>
    private List<(Node Node, int Count)>? Widest(WaitingJob job, Shape shape, DeviceClass kind, int most, DateTimeOffset until)
    {
        var (fits, fewest) = (default(List<(Node, int)>), shape.Need.Fewest);
        // More devices never fit better: so the most that do are found by halving.
        for (var (low, high) = (fewest, most); low <= high;)
        {
            var count = fits is null && low == fewest && high == most ? most : (low + high) / 2;
            if (Choose(job, shape, shape.Need with { Devices = count, MinDevices = 0 }, kind, until) is { } chosen)
                (fits, low) = (chosen, count + 1);
            else
                high = count - 1;
        }

        return fits;
    }

    /// <summary>Without the nodes to avoid if possible.</summary>
    private List<(Node Node, int Count)>? Choose(WaitingJob job, Shape shape, DeviceNeed need, DeviceClass kind, DateTimeOffset until)
    {
        var open = Open(shape, kind);
        if (Room(open, kind) < need.Devices)
            return null;
        var chosen = new GangChoice(need, kind, open, job.Avoid, Book, until).Find();
        return chosen is null && job.Avoid.Count > 0 ? new GangChoice(need, kind, open, GangChoice.None, Book, until).Find() : chosen;
    }

    /// <summary>Those of which something is left that is not kept.</summary>
    public List<NodeGroup> Open(Shape shape, DeviceClass kind) =>
        [.. shape.Admitted(nodes.Groups, nodes.GroupsVersion).Where(group => group.Left(kind) > 0 && !_kept.ContainsKey((group, kind)))];

    private static long Room(IReadOnlyList<NodeGroup> open, DeviceClass kind) => open.Sum(group => group.Left(kind));

    /// <param name="limit">The most that it may have.</param>
    private (DeviceClass Kind, List<(Node Node, int[] Devices)> Chosen)? OwnOf(
        WaitingJob job, Shape shape, DateTimeOffset until, int limit)
    {
        var (need, kind) = (shape.Need, job.Own[0].Kind);
        if (job.Own.Length > need.Devices || !need.Kinds.Contains(kind))
            return null;
        var (chosen, count) = (new List<(Node, int[])>(), 0);
        foreach (var same in job.Own.GroupBy(own => own.Node))
        {
            if (nodes.Find(same.Key) is not { Usable: true } node || !node.Group.Profile.Admits(need)
                || need.Excluded.Contains(node.Id) || _kept.ContainsKey((node.Group, kind)))
                continue;
            var room = Math.Min(need.Capped(node.Room(kind, need.Memory)), Book.Allowed(node, kind, need.Memory, until));
            int[] free = [.. same.Select(own => node.Find(own.Device) is var (its, index) && its == kind ? index : -1)
                .Where(index => node.Devices(kind).IsFreeFor(index, need.Memory.On(kind)))
                .Take((int)Math.Clamp(room, 0, limit - count))];
            if (free.Length == 0)
                continue;
            chosen.Add((node, free));
            count += free.Length;
        }

        return count >= (need.MinDevices > 0 ? need.Fewest : Math.Max(need.Fewest, job.Own.Length)) ? (kind, chosen) : null;
    }

    /// <summary>The groups whose nodes could hold a rank of the shape.</summary>
    public IEnumerable<NodeGroup> Usable(Shape shape, DeviceClass kind) =>
        shape.Admitted(nodes.Groups, nodes.GroupsVersion).Where(group => group.Profile.Count(kind, shape.Need.Memory.On(kind)) > 0);

    private ImmutableArray<PlannedRank> Give(List<(Node Node, int Count)> chosen, DeviceClass kind, RankMemory memory, DateTimeOffset until)
    {
        var ranks = ImmutableArray.CreateBuilder<PlannedRank>(chosen.Sum(each => each.Count));
        foreach (var (node, count) in chosen)
        {
            var picked = Pick(node, kind, count, memory);
            Use(node, kind, picked, memory, DeviceUse.Given, until);
            ranks.AddRange(picked.Select(index => Rank(node, node.Devices(kind).Id(index))));
        }

        return ranks.DrainToImmutable();
    }

    private static int[] Pick(Node node, DeviceClass kind, int count, RankMemory memory) =>
        [.. node.Devices(kind).Pick(count, kind == DeviceClass.Cpu ? 0 : memory.Gpu)];

    private static PlannedRank Rank(Node node, string device) => new(node.Id, node.Name, node.Epoch, device);

    private void Use(Node node, DeviceClass kind, int[] devices, RankMemory memory, DeviceUse use, DateTimeOffset until)
    {
        var amount = Amount.Of(devices.Length, kind, memory);
        node.Group.Change(node, kind, devices, use);
        node.CpuLeft -= amount.CpuBytes;
        node.CpuHeld += use == DeviceUse.Held ? amount.CpuBytes : 0;
        Book.Take(node, kind, until, amount);
        _taken.Add(new Taken(node, kind, devices, amount.CpuBytes));
    }

    private readonly record struct Taken(Node Node, DeviceClass Kind, int[] Devices, long CpuBytes);

    /// <param name="Order">Who came first has the smallest.</param>
    private readonly record struct Claim(int Order, string? Words)
    {
        public static Claim None { get; } = new(int.MaxValue, null);
    }
}

/// <summary>Devices that a job is given.</summary>
internal sealed record Placed(DeviceClass Kind, ImmutableArray<PlannedRank> Ranks);
