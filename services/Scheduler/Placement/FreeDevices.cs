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
            _pools[kind] = new Pool([.. nodes.Select(n => n.Free.GetValueOrDefault(kind)?.Count ?? 0)], new int[nodes.Count], new bool[nodes.Count]);
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
                return Commit(chosen, kind);
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
                kept[i] |= need.Admits(_nodes[i]);
        }
    }

    /// <summary>For the reason of one that waits: devices of its best kind, free ones (kept or not) and all.</summary>
    public (int Free, int All) Count(DeviceNeed need) =>
        need.Kinds.Select(kind =>
        {
            var (open, all) = (0, 0);
            for (var i = 0; i < _nodes.Count; i++)
            {
                if (!need.Admits(_nodes[i]))
                    continue;
                open += need.Capped(_pools[kind].Left[i]);
                all += need.Capped(_nodes[i].Count(kind));
            }

            return (open, all);
        }).Max();

    private List<(int Node, int Count)>? Choose(WaitingJob job, DeviceKind kind, bool avoiding)
    {
        var candidates = new List<(int Node, int Count)>();
        var pool = _pools[kind];
        var (wanted, offered) = (job.Need.Devices, 0);
        for (var i = 0; i < _nodes.Count; i++)
        {
            if (pool.Left[i] == 0 || pool.Kept[i] || (avoiding && job.Avoid.Contains(_nodes[i].Id)) || !job.Need.Admits(_nodes[i]))
                continue;
            var count = job.Need.Capped(pool.Left[i]);
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

            var last = candidates.Skip(i).Where(c => c.Count >= wanted).MinBy(c => (pool.Left[c.Node], c.Node));
            chosen.Add((last.Node, wanted));
            wanted = 0;
        }

        return chosen;
    }

    private ImmutableArray<RankDevice> Commit(List<(int Node, int Count)> chosen, DeviceKind kind)
    {
        var pool = _pools[kind];
        var ranks = ImmutableArray.CreateBuilder<RankDevice>();
        foreach (var (index, count) in chosen)
        {
            var node = _nodes[index];
            ranks.AddRange(node.Free[kind].Skip(pool.Given[index]).Take(count).Select(d => new RankDevice(node.Id, node.Name, node.Epoch, d)));
            pool.Given[index] += count;
            pool.Left[index] -= count;
        }

        return ranks.DrainToImmutable();
    }

    /// <summary>One kind of device on all nodes.</summary>
    /// <param name="Left">Free and not given yet.</param>
    /// <param name="Given">Given in this cycle, from the front of the node's list.</param>
    /// <param name="Kept">Left to a job that waits.</param>
    private readonly record struct Pool(int[] Left, int[] Given, bool[] Kept);
}
