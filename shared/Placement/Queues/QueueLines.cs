namespace Cluster.Placement.Queues;

/// <summary>
/// Whose turn it is: from the root downwards the queue under its quota, then the one with the smallest share, then the one whose first job
/// comes first.
/// </summary>
/// <remarks>A turn changes how its own queues stand and no other's: so only those are sorted in again.</remarks>
internal sealed class QueueLines
{
    private readonly Shares _shares;
    private readonly Action<WaitingBucket, WaitingJob> _passed;
    private readonly QueueNode _root;
    private readonly Dictionary<QueueNode, PriorityQueue<Head, WaitingJob>> _heads = [];
    private readonly Dictionary<QueueNode, PriorityQueue<QueueNode, Standing>> _below = [];

    /// <param name="passed">Told of who is passed over: no queue stands by a job that is out of the question.</param>
    public QueueLines(IEnumerable<WaitingBucket> buckets, QueueNode root, Shares shares, Action<WaitingBucket, WaitingJob> passed)
    {
        (_shares, _root, _passed) = (shares, root, passed);
        foreach (var bucket in buckets)
            Add(new Head(bucket, bucket.Jobs.GetEnumerator()));
        Enter(root);
    }

    /// <summary>The next job, until it is <see cref="Return">returned</see>; null when all have had their turn.</summary>
    public Head? Next()
    {
        if (_below[_root].Count == 0)
            return null;
        var queue = _root;
        while (_below.TryGetValue(queue, out var below))
            queue = below.Dequeue();
        return _heads[queue].Dequeue();
    }

    /// <param name="goesOn">Whether those behind it in its bucket have a turn, too.</param>
    public void Return(Head head, bool goesOn)
    {
        if (goesOn)
            Add(head);
        foreach (var queue in head.Bucket.Line.Path)
        {
            if (First(queue) is { } first)
                _below[queue.Parent!].Enqueue(queue, Stand(queue, first));
        }
    }

    private void Add(Head head)
    {
        if (!head.Jobs.MoveNext())
            return;
        var line = head.Bucket.Line;
        if (!_heads.TryGetValue(line, out var heads))
        {
            _heads.Add(line, heads = new PriorityQueue<Head, WaitingJob>(QueueOrder.Instance));
            var above = line.Parent;
            while (above is not null && _below.TryAdd(above, new PriorityQueue<QueueNode, Standing>(TurnOrder.Instance)))
                above = above.Parent;
        }

        heads.Enqueue(head, head.Jobs.Current);
    }

    /// <summary>Sorts in the queues below, the deepest first.</summary>
    private void Enter(QueueNode node)
    {
        _below.TryAdd(node, new PriorityQueue<QueueNode, Standing>(TurnOrder.Instance));
        foreach (var child in node.Children)
        {
            if (_below.ContainsKey(child))
                Enter(child);
            if (First(child) is { } first)
                _below[node].Enqueue(child, Stand(child, first));
        }
    }

    private WaitingJob? First(QueueNode queue)
    {
        if (_below.TryGetValue(queue, out var below))
            return below.TryPeek(out _, out var standing) ? standing.First : null;
        if (!_heads.TryGetValue(queue, out var heads))
            return null;
        while (heads.TryPeek(out var head, out var job))
        {
            if (!queue.IsLimited || !QuotaGate.IsOutOfQuestion(queue, job))
                return job;
            heads.Dequeue();
            _passed(head.Bucket, job);
        }

        return null;
    }

    private Standing Stand(QueueNode queue, WaitingJob first) =>
        Shares.IsOwed(queue, first.Need) ? new Standing(-1, first) : new Standing(_shares.Of(queue), first);

    /// <summary>The first job of a bucket that has had no turn yet.</summary>
    public sealed record Head(WaitingBucket Bucket, IEnumerator<WaitingJob> Jobs);

    /// <param name="Share">-1: under its quota.</param>
    private readonly record struct Standing(double Share, WaitingJob First);

    private sealed class TurnOrder : IComparer<Standing>
    {
        public static TurnOrder Instance { get; } = new();

        public int Compare(Standing x, Standing y)
        {
            var byShare = x.Share.CompareTo(y.Share);
            return byShare != 0 ? byShare : QueueOrder.Instance.Compare(x.First, y.First);
        }
    }
}
