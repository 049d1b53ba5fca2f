using Cluster.Contracts;

namespace Cluster.Scheduler.Changes;

/// <summary>
/// Tells watchers that something about a job is new in Postgres. It carries no content; who is told reads on from where it was.
/// </summary>
/// <remarks>
/// Watchers in this process are told at once, those of other schedulers through <see cref="JobFeedRelay"/>. What a scheduler does not live
/// to pass on, and what is said while a connection is down, is made good by the watchers' own rare looks (<see cref="Poll"/>).
/// </remarks>
public sealed class JobFeed(TimeProvider time)
{
    /// <summary>How long a watcher waits before it looks by itself: a safety net, and not how changes are found.</summary>
    public static readonly TimeSpan Poll = TimeSpan.FromSeconds(15);

    private readonly Lock _gate = new();
    private readonly Dictionary<JobId, HashSet<JobFeedSubscription>> _byJob = [];
    private readonly HashSet<JobFeedSubscription> _ofAll = [];
    private TaskCompletionSource _nextAgent = NewAgent();
    private bool _closed;

    /// <summary>What is still to be told to other schedulers.</summary>
    internal JobChangeOutbox Outbox { get; } = new(time);

    /// <summary>Ends when the next agent registers, with whichever scheduler.</summary>
    public Task NextAgent
    {
        get
        {
            lock (_gate)
                return _nextAgent.Task;
        }
    }

    /// <summary>How many watch now, so that tests can tell that an abandoned call left nothing behind.</summary>
    internal int Subscriptions
    {
        get
        {
            lock (_gate)
                return _ofAll.Count + _byJob.Values.Sum(watchers => watchers.Count);
        }
    }

    /// <summary>Called after the commit.</summary>
    public void Publish(JobId job, JobChange what = JobChange.State)
    {
        Deliver(job, what);
        Outbox.Add(job, what);
    }

    /// <summary>Called when it has been written anew why jobs wait.</summary>
    /// <param name="which">The jobs of which the reason has changed; asked about those only that are watched here.</param>
    public void PublishReasons(Func<JobId, bool> which)
    {
        lock (_gate)
        {
            foreach (var (job, watchers) in _byJob)
            {
                if (which(job))
                    Signal(watchers, JobChange.Queue);
            }

            Signal(_ofAll, JobChange.Queue);
        }

        // Who watches elsewhere is known there alone.
        Outbox.Add(null, JobChange.Queue);
    }

    /// <summary>Called when an agent has registered.</summary>
    public void PublishAgent()
    {
        Deliver(null, JobChange.Agents);
        Outbox.Add(null, JobChange.Agents);
    }

    /// <summary>Subscribe first, then read, then wait: so nothing falls between.</summary>
    public JobFeedSubscription Subscribe(JobId job, JobChange what) => Add(job, what);

    /// <inheritdoc cref="Subscribe"/>
    public JobFeedSubscription SubscribeToAll(JobChange what) => Add(null, what);

    /// <summary>
    /// Called when the scheduler begins to stop: every wait ends with <see cref="SchedulerStoppingException"/>. Calls that follow a job
    /// would otherwise hold the process up until it is killed.
    /// </summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            foreach (var subscription in _byJob.Values.SelectMany(watchers => watchers).Concat(_ofAll))
                subscription.Close();
        }
    }

    /// <summary>Tells watchers in this process.</summary>
    /// <param name="job">Null: whatever job they watch.</param>
    internal void Deliver(JobId? job, JobChange what)
    {
        lock (_gate)
        {
            if (what.HasFlag(JobChange.Agents))
            {
                _nextAgent.SetResult();
                _nextAgent = NewAgent();
            }

            if (job is null)
                Signal(_byJob.Values.SelectMany(watchers => watchers), what);
            else if (_byJob.TryGetValue(job.Value, out var watchers))
                Signal(watchers, what);
            Signal(_ofAll, what);
        }
    }

    private static TaskCompletionSource NewAgent() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static void Signal(IEnumerable<JobFeedSubscription> watchers, JobChange what)
    {
        foreach (var watcher in watchers)
            watcher.Signal(what);
    }

    private JobFeedSubscription Add(JobId? job, JobChange what)
    {
        var subscription = new JobFeedSubscription(time, what, s => Remove(job, s));
        lock (_gate)
        {
            if (job is not { } id)
                _ofAll.Add(subscription);
            else if (_byJob.TryGetValue(id, out var watchers))
                watchers.Add(subscription);
            else
                _byJob.Add(id, [subscription]);
            if (_closed)
                subscription.Close();
        }

        return subscription;
    }

    private void Remove(JobId? job, JobFeedSubscription subscription)
    {
        lock (_gate)
        {
            if (job is not { } id)
                _ofAll.Remove(subscription);
            else if (_byJob.TryGetValue(id, out var watchers) && watchers.Remove(subscription) && watchers.Count == 0)
                _byJob.Remove(id);
        }
    }
}

/// <summary>
/// This scheduler is about to end; another, or the same one restarted, goes on. gRPC: Unavailable, so that clients try again.
/// </summary>
public sealed class SchedulerStoppingException() : Exception("the scheduler is stopping; try again");
