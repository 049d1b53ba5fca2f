namespace Cluster.Placement.Forecasts;

/// <summary>The jobs that were submitted last: those that come next are expected to be like them, and as many in an hour.</summary>
/// <param name="since">From when on it has been told of all that were submitted.</param>
public sealed class Arrivals(DateTimeOffset since)
{
    // Few jobs have most of the work, so that many are needed to know what the next ones bring.
    private const int Most = 4_000;

    // Some hours of a busy cluster, so that a day's rise and fall is followed.
    private const int Lately = 1_000;

    // A few jobs that came just now are no flood.
    private static readonly TimeSpan ShortestSpan = TimeSpan.FromHours(1);

    private readonly Queue<WaitingJob> _jobs = new();
    private readonly Queue<DateTimeOffset> _lately = new();
    private readonly HashSet<JobKey> _known = [];

    internal IReadOnlyCollection<WaitingJob> Jobs => _jobs;

    /// <summary>Takes note of a job that was submitted; one that is queued again is known or was long ago.</summary>
    public void Apply(ClusterChange change)
    {
        var from = _jobs.Count == Most ? _jobs.Peek().Age : since;
        if (change is not ClusterChange.JobQueued { Job: var job } || job.Age < from || !_known.Add(job.Id))
            return;
        _jobs.Enqueue(job);
        if (_jobs.Count > Most)
            _known.Remove(_jobs.Dequeue().Id);
        _lately.Enqueue(job.Age);
        if (_lately.Count > Lately)
            _lately.Dequeue();
    }

    /// <summary>How many come in a second.</summary>
    internal double Rate(DateTimeOffset now)
    {
        var span = now - (_lately.Count == Lately ? _lately.Peek() : since);
        return _lately.Count / (span > ShortestSpan ? span : ShortestSpan).TotalSeconds;
    }
}
