namespace Cluster.Placement;

/// <summary>Jobs that failed and had devices: they start first, on these, which are held for them for a moment.</summary>
internal sealed class Restarts(WaitingIndex waiting, FreeDevices free, CycleTerms terms)
{
    private readonly HashSet<JobKey> _started = [];

    // Those whose devices are held, the lowest priority first.
    private readonly SortedSet<WaitingJob> _holding = new(Comparer<WaitingJob>.Create((x, y) => QueueOrder.Instance.Compare(y, x)));

    /// <param name="tryStart">Starts a job on the devices that it had.</param>
    public void Begin(Func<WaitingBucket, WaitingJob, bool> tryStart)
    {
        foreach (var job in waiting.Restarting)
        {
            var bucket = waiting.BucketOf(job);
            if (!job.Pauses(terms.Time))
            {
                if (tryStart(bucket, job))
                    _started.Add(job.Id);
            }
            else if (job.NotBefore - terms.Time <= terms.Policy.LongestHold)
            {
                Hold(job);
            }
        }
    }

    /// <summary>Nothing more is to be decided about the job.</summary>
    public bool IsSettled(WaitingJob job) => _started.Contains(job.Id) || free.HoldsOwn(job.Id);

    public bool HoldsBelow(int priority) => _holding.Count > 0 && _holding.Min!.Priority < priority;

    /// <summary>Tries something with what is held for lower priorities given up, one after the other until it succeeds.</summary>
    public T? WithoutHoldsBelow<T>(int priority, Func<T?> attempt)
        where T : class
    {
        var yielded = new List<WaitingJob>();
        while (HoldsBelow(priority))
        {
            var lowest = _holding.Min!;
            _holding.Remove(lowest);
            free.YieldOwn(lowest.Id);
            yielded.Add(lowest);
            if (attempt() is { } result)
                return result;
        }

        // Nobody gains by it: the first ones first again.
        yielded.Reverse();
        yielded.ForEach(Hold);
        return null;
    }

    public static string Claim(WaitingJob job) =>
        $"job {job.Id}, which starts again at {WaitReason.Clock(job.NotBefore!.Value)} after a failure";

    private void Hold(WaitingJob job)
    {
        free.HoldOwn(job, waiting.BucketOf(job).Shape, Claim(job));
        if (free.HoldsOwn(job.Id))
            _holding.Add(job);
    }
}
