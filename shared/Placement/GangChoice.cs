using Cluster.Placement.Backfill;

namespace Cluster.Placement;

/// <summary>Which nodes a gang would take: the fewest, and of those the ones that it fills best.</summary>
/// <remarks>
/// Nodes are met by how many devices are left on them, so that only those are looked at that may be taken, and those with too little
/// memory for what is left. What is promised to others by the time the gang ends counts as taken.
/// </remarks>
internal sealed class GangChoice(
    DeviceNeed need, DeviceClass kind, IReadOnlyList<NodeGroup> open, IReadOnlySet<NodeKey> avoid, ReservationBook book,
    DateTimeOffset until)
{
    public static readonly IReadOnlySet<NodeKey> None = new HashSet<NodeKey>();

    private readonly HashSet<Node> _chosen = [];

    /// <returns>Nodes, with how many of each's devices; null if there are not enough.</returns>
    public List<(Node Node, int Count)>? Find()
    {
        if (Tightest(need.Devices) is { } whole)
            return [(whole, need.Devices)];
        var (wanted, found) = (need.Devices, new List<(Node Node, int Count)>());
        // The fullest first makes the number of nodes least; the last one is then the tightest that still does.
        foreach (var (node, count) in MostRoomFirst())
        {
            if (count >= wanted)
            {
                found.Add((Tightest(wanted)!, wanted));
                return found;
            }

            found.Add((node, count));
            _chosen.Add(node);
            wanted -= count;
        }

        return null;
    }

    /// <summary>Of the nodes with room for so many ranks, the one with the fewest devices left.</summary>
    private Node? Tightest(int wanted)
    {
        if (need.Capped(wanted) < wanted)
            return null;
        for (var left = wanted; left <= Most(); left++)
        {
            Node? tightest = null;
            foreach (var group in open.Where(group => left <= group.Most(kind)))
            {
                var first = group.WithLeft(kind, left).FirstOrDefault(node => Room(node) >= wanted && !_chosen.Contains(node));
                if (first is not null && (tightest is null || NodeOrder.Instance.Compare(first, tightest) < 0))
                    tightest = first;
            }

            if (tightest is not null)
                return tightest;
        }

        return null;
    }

    /// <summary>Nodes with how many ranks of the job each has room for; nodes with equal room in their order.</summary>
    private IEnumerable<(Node Node, int Count)> MostRoomFirst()
    {
        var most = Most();
        // Memory leaves room for fewer ranks than there are devices: such a node's turn comes later.
        var later = new Dictionary<int, SortedSet<Node>>();
        for (var count = need.Capped(most); count > 0; count--)
        {
            var levels = Enumerable.Range(count, most - count + 1).Where(left => need.Capped(left) == count)
                .SelectMany(left => open.Where(group => left <= group.Most(kind)).Select(group => group.WithLeft(kind, left)));
            foreach (var node in Merged(later.TryGetValue(count, out var postponed) ? levels.Append(postponed) : levels))
            {
                var room = Room(node);
                if (room == count)
                    yield return (node, count);
                else if (room > 0)
                    Later(room).Add(node);
            }
        }

        SortedSet<Node> Later(int room)
        {
            if (!later.TryGetValue(room, out var nodes))
                later.Add(room, nodes = new SortedSet<Node>(NodeOrder.Instance));
            return nodes;
        }
    }

    private int Most() => open.Max(group => group.Most(kind));

    private int Room(Node node)
    {
        if (avoid.Contains(node.Id) || need.Excluded.Contains(node.Id))
            return 0;
        var room = node.Room(kind, need.Memory);
        return need.Capped(book.IsEmpty ? room : (int)Math.Min(room, book.Allowed(node, kind, need.Memory, until)));
    }

    private static IEnumerable<Node> Merged(IEnumerable<SortedSet<Node>> sets)
    {
        var heads = new PriorityQueue<IEnumerator<Node>, Node>(NodeOrder.Instance);
        foreach (var set in sets.Where(set => set.Count > 0))
            Advance(set.GetEnumerator());
        while (heads.TryDequeue(out var head, out var node))
        {
            yield return node;
            Advance(head);
        }

        void Advance(IEnumerator<Node> nodes)
        {
            if (nodes.MoveNext())
                heads.Enqueue(nodes, nodes.Current);
        }
    }
}
