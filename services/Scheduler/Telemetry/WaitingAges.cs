using Cluster.Placement;

namespace Cluster.Scheduler.Telemetry;

/// <summary>How old the jobs are that wait, by queue and shape, kept up to date by what changes.</summary>
internal sealed class WaitingAges
{
    // No need's shape is empty.
    private const string NoShapeYet = "";

    private readonly Dictionary<JobKey, ((QueueKey, string) Bucket, DateTimeOffset Age)> _jobs = [];
    private readonly Dictionary<(QueueKey Queue, string Shape), SortedSet<(DateTimeOffset Age, Guid Id)>> _buckets = [];

    public void Apply(ClusterChange change)
    {
        switch (change)
        {
            case ClusterChange.JobQueued queued:
                Put(queued.Job, queued.Job.Need.Shape());
                break;
            case ClusterChange.JobGranted granted:
                Remove(granted.Job);
                break;
            case ClusterChange.JobEnded ended:
                Remove(ended.Job);
                break;
        }
    }

    /// <summary>The job waits until it is known what it takes.</summary>
    public void AwaitForecast(WaitingJob job) => Put(job, NoShapeYet);

    public DateTimeOffset? Oldest(QueueKey queue, string shape) =>
        _buckets.TryGetValue((queue, shape), out var bucket) ? bucket.Min.Age : null;

    /// <summary>How many await their forecast in each queue, and since when the oldest does.</summary>
    public IEnumerable<(QueueKey Queue, int Jobs, DateTimeOffset Oldest)> AwaitingForecasts() =>
        _buckets.Where(bucket => bucket.Key.Shape == NoShapeYet).Select(b => (b.Key.Queue, b.Value.Count, b.Value.Min.Age));

    private void Put(WaitingJob job, string shape)
    {
        Remove(job.Id);
        var key = (job.Queue, shape);
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
}
