using Cluster.Placement.Queues;

namespace Cluster.Placement;

/// <summary>Waiting jobs by queue and shape.</summary>
internal sealed class WaitingIndex(QueueTree queues)
{
    private readonly Dictionary<JobKey, WaitingBucket> _bucketOf = [];
    private readonly Dictionary<JobKey, WaitingJob> _jobs = [];
    private readonly Dictionary<BucketKey, WaitingBucket> _buckets = [];
    private readonly Dictionary<string, Shape> _shapes = [];
    private readonly SortedSet<WaitingJob> _withPause = new(ByPauseEnd.Instance);
    private readonly SortedSet<WaitingJob> _restarting = new(QueueOrder.Instance);

    public int Count => _jobs.Count;

    public IReadOnlyCollection<WaitingBucket> Buckets => _buckets.Values;

    public IReadOnlyCollection<WaitingJob> Jobs => _jobs.Values;

    /// <summary>Those that had devices when they failed, first come first.</summary>
    public IReadOnlyCollection<WaitingJob> Restarting => _restarting;

    public WaitingBucket BucketOf(WaitingJob job) => _bucketOf[job.Id];

    public void Put(WaitingJob job)
    {
        Remove(job.Id);
        var bucket = BucketFor(job);
        bucket.Jobs.Add(job);
        _jobs.Add(job.Id, job);
        _bucketOf.Add(job.Id, bucket);
        if (job.NotBefore is not null)
            _withPause.Add(job);
        if (job.Own.Length > 0)
            _restarting.Add(job);
    }

    public void Remove(JobKey id)
    {
        if (!_jobs.Remove(id, out var job) || !_bucketOf.Remove(id, out var bucket))
            return;
        bucket.Jobs.Remove(job);
        _withPause.Remove(job);
        _restarting.Remove(job);
        if (bucket.Jobs.Count > 0)
            return;
        _buckets.Remove(bucket.Key);
        if (--bucket.Shape.Buckets == 0)
            _shapes.Remove(bucket.Shape.Key);
    }

    public (QueueKey Queue, string Shape)? ShapeOf(JobKey id) =>
        _bucketOf.TryGetValue(id, out var bucket) ? (bucket.Queue, bucket.Shape.Key) : null;

    /// <summary>How many jobs of each bucket wait out a pause; a bucket without any is left out.</summary>
    public Dictionary<WaitingBucket, int> Pausing(DateTimeOffset now) =>
        _withPause.Reverse().TakeWhile(job => job.Pauses(now)).CountBy(job => _bucketOf[job.Id]).ToDictionary();

    public string Describe() => string.Join(
        '\n', _buckets.Values.OrderBy(b => b.Key.ToString(), StringComparer.Ordinal).Select(
            b => $"{b.Key} in {b.Line.Key}: {string.Join(", ", b.Jobs.Select(Words))}"));

    private static string Words(WaitingJob job) =>
        $"{job.Id} {job.Priority} {job.Age:O} {job.NotBefore:O} "
        + $"[{string.Join(' ', job.Avoid.Select(n => n.ToString()).Order(StringComparer.Ordinal))}] "
        + $"{job.Owner} {job.Runtime} {string.Join(' ', job.Own)} "
        + string.Join(' ', job.YieldedTo.Select(j => j.ToString()).Order(StringComparer.Ordinal));

    private WaitingBucket BucketFor(WaitingJob job)
    {
        var line = queues.LineOf(job.Queue);
        var owner = line.Path.Any(queue => queue.LimitsOwners) ? job.Owner : "";
        var key = new BucketKey(job.Queue, job.Need.Shape(), BucketKey.ClassOf(job), owner);
        if (_buckets.TryGetValue(key, out var bucket))
            return bucket;
        if (!_shapes.TryGetValue(key.Shape, out var shape))
            _shapes.Add(key.Shape, shape = new Shape(key.Shape, job.Need));
        shape.Buckets++;
        _buckets.Add(key, bucket = new WaitingBucket(key, shape, line));
        return bucket;
    }

    private sealed class ByPauseEnd : IComparer<WaitingJob>
    {
        public static ByPauseEnd Instance { get; } = new();

        public int Compare(WaitingJob? x, WaitingJob? y)
        {
            var byEnd = Nullable.Compare(x!.NotBefore, y!.NotBefore);
            return byEnd != 0 ? byEnd : x.Id.Value.CompareTo(y.Id.Value);
        }
    }
}
