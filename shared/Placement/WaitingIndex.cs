namespace Cluster.Placement;

/// <summary>Waiting jobs by queue and shape.</summary>
internal sealed class WaitingIndex
{
    private readonly Dictionary<JobKey, WaitingBucket> _bucketOf = [];
    private readonly Dictionary<JobKey, WaitingJob> _jobs = [];
    private readonly Dictionary<(QueueKey Queue, string Shape), WaitingBucket> _buckets = [];
    private readonly Dictionary<string, Shape> _shapes = [];
    private readonly SortedSet<WaitingJob> _withPause = new(ByPauseEnd.Instance);

    public int Count => _jobs.Count;

    public IReadOnlyCollection<WaitingBucket> Buckets => _buckets.Values;

    public void Put(WaitingJob job)
    {
        Remove(job.Id);
        var bucket = BucketFor(job);
        bucket.Jobs.Add(job);
        _jobs.Add(job.Id, job);
        _bucketOf.Add(job.Id, bucket);
        if (job.NotBefore is not null)
            _withPause.Add(job);
    }

    public void Remove(JobKey id)
    {
        if (!_jobs.Remove(id, out var job) || !_bucketOf.Remove(id, out var bucket))
            return;
        bucket.Jobs.Remove(job);
        _withPause.Remove(job);
        if (bucket.Jobs.Count > 0)
            return;
        _buckets.Remove((bucket.Queue, bucket.Shape.Key));
        if (--bucket.Shape.Queues == 0)
            _shapes.Remove(bucket.Shape.Key);
    }

    public (QueueKey Queue, string Shape)? ShapeOf(JobKey id) =>
        _bucketOf.TryGetValue(id, out var bucket) ? (bucket.Queue, bucket.Shape.Key) : null;

    /// <summary>How many jobs of each bucket wait out a pause; a bucket without any is left out.</summary>
    public Dictionary<WaitingBucket, int> Pausing(DateTimeOffset now) =>
        _withPause.Reverse().TakeWhile(job => job.Pauses(now)).CountBy(job => _bucketOf[job.Id]).ToDictionary();

    public string Describe() => string.Join(
        '\n', _buckets.Values.OrderBy(b => b.Queue.Name, StringComparer.Ordinal).ThenBy(b => b.Shape.Key, StringComparer.Ordinal).Select(
            b => $"{b.Queue} {b.Shape.Key}: {string.Join(", ", b.Jobs.Select(Words))}"));

    private static string Words(WaitingJob job) =>
        $"{job.Id} {job.Priority} {job.Age:O} {job.NotBefore:O} "
        + $"[{string.Join(' ', job.Avoid.Select(n => n.ToString()).Order(StringComparer.Ordinal))}]";

    private WaitingBucket BucketFor(WaitingJob job)
    {
        var key = job.Need.Shape();
        if (_buckets.TryGetValue((job.Queue, key), out var bucket))
            return bucket;
        if (!_shapes.TryGetValue(key, out var shape))
            _shapes.Add(key, shape = new Shape(key, job.Need));
        shape.Queues++;
        _buckets.Add((job.Queue, key), bucket = new WaitingBucket(job.Queue, shape));
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
