using System.Collections.Immutable;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Placement;

/// <summary>The devices that a placement cycle has left to give, as it gives them.</summary>
internal sealed class FreeDevices
{
    private readonly IReadOnlyList<NodeCapacity> _nodes;
    private readonly Dictionary<DeviceKind, Pool> _pools = [];

    public FreeDevices(IReadOnlyList<NodeCapacity> nodes)
    {
        _nodes = nodes;
        foreach (var kind in new[] { DeviceKind.Cpu, DeviceKind.Cuda })
            _pools[kind] = new Pool([.. nodes.Select(n => n.Free.GetValueOrDefault(kind) ?? [])], nodes);
    }

    /// <summary>Takes what the job needs: on the fewest nodes, and of those on the ones that it fills best.</summary>
    /// <returns>
    /// The devices in rank order, ranks of one node next to each other; null if they are not there, and nothing is taken.
    /// </returns>
    public ImmutableArray<RankDevice>? Take(WaitingJob job)
    {
        if (Choose(job) is not var (kind, chosen))
            return null;
        var ranks = ImmutableArray.CreateBuilder<RankDevice>();
        foreach (var (index, count) in chosen)
        {
            var (node, taken) = (_nodes[index], Pick(job.Need, kind, index, count));
            ranks.AddRange(taken.Select(d => new RankDevice(node.Id, node.Name, node.Epoch, d)));
            _pools[kind].Left.Remove(index, taken, job.Need.Memory.Cpu);
            _pools[kind].Free.Remove(index, taken, job.Need.Memory.Cpu);
        }

        return ranks.DrainToImmutable();
    }

    /// <summary>Sets aside what the job would take now: nobody after it gets that in this cycle.</summary>
    /// <param name="claim">Whom it is for, in words.</param>
    /// <returns>False if it would not fit now; then nothing is set aside.</returns>
    public bool Hold(WaitingJob job, string claim)
    {
        if (Choose(job) is not var (kind, chosen))
            return false;
        foreach (var (index, count) in chosen)
        {
            _pools[kind].Left.Remove(index, Pick(job.Need, kind, index, count), job.Need.Memory.Cpu);
            _pools[kind].Claims[index] ??= claim;
        }

        return true;
    }

    /// <summary>Leaves to a waiting job every device that it could use.</summary>
    /// <param name="claim">Whom they are left to, in words.</param>
    public void Keep(DeviceNeed need, string claim)
    {
        foreach (var kind in need.Kinds)
        {
            var pool = _pools[kind];
            for (var i = 0; i < _nodes.Count; i++)
            {
                if (pool.Kept[i] || !need.CouldUse(_nodes[i], kind))
                    continue;
                pool.Kept[i] = true;
                pool.Claims[i] ??= claim;
            }
        }
    }

    /// <summary>The first to whom devices are kept or held that the job could use.</summary>
    public string? ClaimOn(DeviceNeed need) => need.Kinds
        .SelectMany(kind => _pools[kind].Claims.Where((_, i) => need.CouldUse(_nodes[i], kind)))
        .FirstOrDefault(claim => claim is not null);

    /// <summary>
    /// For the reason of one that waits: devices of its best kind that it could use, free ones (kept, held or not), idle ones (free, but
    /// perhaps without the memory for a rank) and all.
    /// </summary>
    public (int Free, int Idle, int All) Count(DeviceNeed need) =>
        need.Kinds.Select(kind =>
        {
            var (open, idle, all) = (0, 0, 0);
            var free = _pools[kind].Free;
            for (var i = 0; i < _nodes.Count; i++)
            {
                if (!need.Admits(_nodes[i]))
                    continue;
                var could = need.Capped(_nodes[i].Count(kind, need.Memory.On(kind)));
                open += need.Capped(Fitting(free, i, kind, need));
                idle += Math.Min(could, free.Devices[i].Count);
                all += could;
            }

            return (open, idle, all);
        }).Max();

    /// <summary>The preferred kind that does, without the nodes to avoid if possible.</summary>
    private (DeviceKind Kind, List<(int Node, int Count)> Chosen)? Choose(WaitingJob job)
    {
        foreach (var kind in job.Need.Kinds)
        {
            var chosen = Choose(job, kind, avoiding: true);
            if (chosen is null && job.Avoid.Count > 0)
                chosen = Choose(job, kind, avoiding: false);
            if (chosen is not null)
                return (kind, chosen);
        }

        return null;
    }

    private List<(int Node, int Count)>? Choose(WaitingJob job, DeviceKind kind, bool avoiding)
    {
        var candidates = new List<(int Node, int Count)>();
        var pool = _pools[kind];
        var (wanted, offered) = (job.Need.Devices, 0);
        for (var i = 0; i < _nodes.Count; i++)
        {
            if (pool.Left.Devices[i].Count == 0 || pool.Kept[i] || !job.Need.Admits(_nodes[i]))
                continue;
            if (avoiding && job.Avoid.Contains(_nodes[i].Id))
                continue;
            var count = job.Need.Capped(Fitting(pool.Left, i, kind, job.Need));
            if (count == 0)
                continue;
            candidates.Add((i, count));
            offered += count;
        }

        if (offered < wanted)
            return null;
        // The fullest first makes the number of nodes least; the last one is then the tightest that still does.
        candidates.Sort((a, b) => b.Count != a.Count ? b.Count.CompareTo(a.Count) : a.Node.CompareTo(b.Node));
        var chosen = new List<(int Node, int Count)>();
        for (var i = 0; wanted > 0; i++)
        {
            if (candidates[i].Count < wanted)
            {
                chosen.Add(candidates[i]);
                wanted -= candidates[i].Count;
                continue;
            }

            var last = candidates.Skip(i).Where(c => c.Count >= wanted).MinBy(c => (pool.Left.Devices[c.Node].Count, c.Node));
            chosen.Add((last.Node, wanted));
            wanted = 0;
        }

        return chosen;
    }

    /// <summary>How many of a node's devices can hold a rank of the job beside those given in this cycle.</summary>
    private int Fitting(Stock stock, int node, DeviceKind kind, DeviceNeed need)
    {
        var (left, memory) = (stock.Devices[node], _nodes[node].Memory);
        var rankBytes = need.Memory.On(kind);
        if (rankBytes == 0)
            return left.Count;
        return kind == DeviceKind.Cpu
            ? (int)Math.Min(left.Count, memory.CpuRanks(stock.CpuBytes[node], rankBytes))
            : left.Count(gpu => memory.Holds(gpu, rankBytes));
    }

    private List<string> Pick(DeviceNeed need, DeviceKind kind, int node, int count) =>
        [.. _pools[kind].Left.Devices[node]
            .Where(d => kind == DeviceKind.Cpu || _nodes[node].Memory.Holds(d, need.Memory.Gpu)).Take(count)];

    /// <summary>One kind of device on all nodes.</summary>
    private sealed class Pool(IReadOnlyList<string>[] free, IReadOnlyList<NodeCapacity> nodes)
    {
        /// <summary>Neither given yet nor held.</summary>
        public Stock Left { get; } = new([.. free], nodes);

        /// <summary>Not given yet.</summary>
        public Stock Free { get; } = new(free, nodes);

        /// <summary>By node: all of it is left to a job that waits.</summary>
        public bool[] Kept { get; } = new bool[nodes.Count];

        /// <summary>By node: the first to whom something there is kept or held, in words.</summary>
        public string?[] Claims { get; } = new string?[nodes.Count];
    }

    /// <summary>Devices by node, and the memory for ranks on CPU devices beside them.</summary>
    private sealed class Stock(IReadOnlyList<string>[] devices, IReadOnlyList<NodeCapacity> nodes)
    {
        public IReadOnlyList<string>[] Devices => devices;

        public long[] CpuBytes { get; } = [.. nodes.Select(n => n.Memory.CpuFree)];

        public void Remove(int node, List<string> taken, long rankBytes)
        {
            devices[node] = [.. devices[node].Except(taken)];
            CpuBytes[node] -= taken.Count * rankBytes;
        }
    }
}
