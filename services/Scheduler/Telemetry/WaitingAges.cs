using Cluster.Placement;

namespace Cluster.Scheduler.Telemetry;

/// <summary>How old the jobs are that wait, by queue and shape, kept up to date by what changes.</summary>
internal sealed class WaitingAges
{
    private readonly Dictionary<JobKey, (Bucket Bucket, DateTimeOffset Age)> _jobs = [];
    private readonly Dictionary<Bucket, SortedSet<(DateTimeOffset Age, Guid Id)>> _buckets = [];

    public void Apply(ClusterChange change)
    {
        switch (change)
        {
            case ClusterChange.JobQueued queued:
                Put(queued.Job, new Bucket(queued.Job.Queue, queued.Job.Need.Shape(), null));
                break;
            case ClusterChange.JobGranted granted:
                Remove(granted.Job);
                break;
            case ClusterChange.JobEnded ended:
                Remove(ended.Job);
                break;
        }
    }

    /// <summary>The job waits for something before placement is told of it.</summary>
    /// <param name="reason">The code of that.</param>
    public void Await(WaitingJob job, string reason) => Put(job, new Bucket(job.Queue, "", reason));

    public DateTimeOffset? Oldest(QueueKey queue, string shape) =>
        _buckets.TryGetValue(new Bucket(queue, shape, null), out var bucket) ? bucket.Min.Age : null;

    /// <summary>How many wait in each queue of which placement is not told yet, by what for, and since when the oldest does.</summary>
    public IEnumerable<(QueueKey Queue, string Reason, int Jobs, DateTimeOffset Oldest)> NotInLine() => _buckets
        .Where(bucket => bucket.Key.Reason is not null)
        .Select(bucket => (bucket.Key.Queue, bucket.Key.Reason!, bucket.Value.Count, bucket.Value.Min.Age));

    private void Put(WaitingJob job, Bucket key)
    {
        Remove(job.Id);
        _jobs.Add(job.Id, (key, job.Age));
        if (!_buckets.TryGetValue(key, out var bucket))
            _buckets.Add(key, bucket = []);
        bucket.Add((job.Age, job.Id.Value));
    }

    private void Remove(JobKey id)
    {
        if (!_jobs.Remove(id, out var job))
            return;
        var bucket = _buckets[job.Bucket];
        bucket.Remove((job.Age, id.Value));
        if (bucket.Count == 0)
            _buckets.Remove(job.Bucket);
    }

    /// <param name="Reason">What is waited for before placement is told; null: it has been told.</param>
    private readonly record struct Bucket(QueueKey Queue, string Shape, string? Reason);
}
