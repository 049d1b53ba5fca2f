using System.Collections.Immutable;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Placement;

/// <summary>The devices that a placement cycle has left to give, as it gives them.</summary>
internal sealed class FreeDevices
{
    private readonly IReadOnlyList<NodeCapacity> _nodes;
    private readonly Dictionary<DeviceKind, Pool> _pools = [];
    private readonly long[] _cpuBytes;

    public FreeDevices(IReadOnlyList<NodeCapacity> nodes)
    {
        _nodes = nodes;
        _cpuBytes = [.. nodes.Select(n => n.Memory.CpuFree)];
        foreach (var kind in new[] { DeviceKind.Cpu, DeviceKind.Cuda })
            _pools[kind] = new Pool([.. nodes.Select(n => n.Free.GetValueOrDefault(kind) ?? [])], new bool[nodes.Count]);
    }

    /// <summary>Takes what the job needs: on the fewest nodes, and of those on the ones that it fills best.</summary>
    /// <returns>The devices in rank order, ranks of one node next to each other; null if they are not there, and nothing is taken.</returns>
    public ImmutableArray<RankDevice>? Take(WaitingJob job)
    {
        foreach (var kind in job.Need.Kinds)
        {
            var chosen = Choose(job, kind, avoiding: true);
            if (chosen is null && job.Avoid.Count > 0)
                chosen = Choose(job, kind, avoiding: false);
            if (chosen is not null)
                return Commit(job.Need, chosen, kind);
        }

        return null;
    }

    /// <summary>Leaves to a waiting job every device that it could use.</summary>
    public void Keep(DeviceNeed need)
    {
        foreach (var kind in need.Kinds)
        {
            var kept = _pools[kind].Kept;
            for (var i = 0; i < _nodes.Count; i++)
                kept[i] |= need.CouldUse(_nodes[i], kind);
        }
    }

    /// <summary>
    /// For the reason of one that waits: devices of its best kind that it could use, free ones (kept or not), idle ones (free, but perhaps
    /// without the memory for a rank) and all.
    /// </summary>
    public (int Free, int Idle, int All) Count(DeviceNeed need) =>
        need.Kinds.Select(kind =>
        {
            var (open, idle, all) = (0, 0, 0);
            for (var i = 0; i < _nodes.Count; i++)
            {
                if (!need.Admits(_nodes[i]))
                    continue;
                var could = need.Capped(_nodes[i].Count(kind, need.Memory.On(kind)));
                open += need.Capped(Fitting(i, kind, need));
                idle += Math.Min(could, _pools[kind].Left[i].Count);
                all += could;
            }

            return (open, idle, all);
        }).Max();

    private List<(int Node, int Count)>? Choose(WaitingJob job, DeviceKind kind, bool avoiding)
    {
        var candidates = new List<(int Node, int Count)>();
        var pool = _pools[kind];
        var (wanted, offered) = (job.Need.Devices, 0);
        for (var i = 0; i < _nodes.Count; i++)
        {
            if (pool.Left[i].Count == 0 || pool.Kept[i] || (avoiding && job.Avoid.Contains(_nodes[i].Id)) || !job.Need.Admits(_nodes[i]))
                continue;
            var count = job.Need.Capped(Fitting(i, kind, job.Need));
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

            var last = candidates.Skip(i).Where(c => c.Count >= wanted).MinBy(c => (pool.Left[c.Node].Count, c.Node));
            chosen.Add((last.Node, wanted));
            wanted = 0;
        }

        return chosen;
    }

    /// <summary>How many of the devices that a node has left can hold a rank of the job beside those given in this cycle.</summary>
    private int Fitting(int node, DeviceKind kind, DeviceNeed need)
    {
        var (left, memory) = (_pools[kind].Left[node], _nodes[node].Memory);
        var rankBytes = need.Memory.On(kind);
        if (rankBytes == 0)
            return left.Count;
        return kind == DeviceKind.Cpu
            ? (int)Math.Min(left.Count, memory.CpuRanks(_cpuBytes[node], rankBytes))
            : left.Count(gpu => memory.Holds(gpu, rankBytes));
    }

    private ImmutableArray<RankDevice> Commit(DeviceNeed need, List<(int Node, int Count)> chosen, DeviceKind kind)
    {
        var pool = _pools[kind];
        var ranks = ImmutableArray.CreateBuilder<RankDevice>();
        foreach (var (index, count) in chosen)
        {
            var node = _nodes[index];
            var taken = pool.Left[index].Where(d => kind == DeviceKind.Cpu || node.Memory.Holds(d, need.Memory.Gpu)).Take(count).ToList();
            ranks.AddRange(taken.Select(d => new RankDevice(node.Id, node.Name, node.Epoch, d)));
            pool.Left[index] = [.. pool.Left[index].Except(taken)];
            if (kind == DeviceKind.Cpu)
                _cpuBytes[index] -= count * need.Memory.Cpu;
        }

        return ranks.DrainToImmutable();
    }

    /// <summary>One kind of device on all nodes.</summary>
    /// <param name="Left">Free and not given yet.</param>
    /// <param name="Kept">Left to a job that waits.</param>
    private readonly record struct Pool(IReadOnlyList<string>[] Left, bool[] Kept);
}
