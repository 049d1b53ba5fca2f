using System.Collections.Concurrent;
using System.Threading.Channels;
using Cluster.Contracts;

namespace Cluster.Scheduler.Changes;

/// <summary>
/// Tells watchers in this process that something about a job is new in Postgres: an event, progress, metrics, log lines, a rendezvous.
/// It carries no content; who is told reads on from where it was.
/// </summary>
/// <remarks>Where several schedulers run, a change made by another one is seen at the watcher's next poll.</remarks>
public sealed class JobFeed(TimeProvider time)
{
    private readonly ConcurrentDictionary<JobFeedSubscription, JobId?> _subscriptions = new();
    private volatile bool _closed;

    /// <summary>How many watch now, so that tests can tell that an abandoned call left nothing behind.</summary>
    internal int Subscriptions => _subscriptions.Count;

    /// <summary>Called after the commit.</summary>
    public void Publish(JobId job)
    {
        foreach (var (subscription, wanted) in _subscriptions)
        {
            if (wanted is null || wanted == job)
                subscription.Signal();
        }
    }

    /// <inheritdoc cref="Publish(JobId)"/>
    /// <param name="which">The jobs of which something is new; asked about those only that are watched.</param>
    public void Publish(Func<JobId, bool> which)
    {
        foreach (var (subscription, wanted) in _subscriptions)
        {
            if (wanted is not { } job || which(job))
                subscription.Signal();
        }
    }

    /// <summary>Subscribe first, then read, then wait: so nothing falls between.</summary>
    public JobFeedSubscription Subscribe(JobId job) => Add(job);

    /// <inheritdoc cref="Subscribe"/>
    public JobFeedSubscription SubscribeToAll() => Add(null);

    /// <summary>
    /// Called when the scheduler begins to stop: every wait ends with <see cref="SchedulerStoppingException"/>. Calls that follow a job
    /// would otherwise hold the process up until it is killed.
    /// </summary>
    public void Close()
    {
        _closed = true;
        foreach (var subscription in _subscriptions.Keys)
            subscription.Close();
    }

    private JobFeedSubscription Add(JobId? job)
    {
        var subscription = new JobFeedSubscription(time, s => _subscriptions.TryRemove(s, out _));
        _subscriptions[subscription] = job;
        // Looked at after it was added: then either this closes it or Close finds it.
        if (_closed)
            subscription.Close();
        return subscription;
    }
}

/// <summary>One watcher's place in the feed. Several changes between two waits count as one.</summary>
public sealed class JobFeedSubscription : IDisposable
{
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TimeProvider _time;
    private readonly Action<JobFeedSubscription> _remove;

    internal JobFeedSubscription(TimeProvider time, Action<JobFeedSubscription> remove)
    {
        _time = time;
        _remove = remove;
    }

    /// <summary>Returns at the next change since the last return, or when it is time to poll anyhow.</summary>
    /// <exception cref="SchedulerStoppingException">The feed is closed.</exception>
    public async Task WaitAsync(TimeSpan poll, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(poll, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            await _signal.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // Time to poll.
        }
        catch (ChannelClosedException)
        {
            throw new SchedulerStoppingException();
        }
    }

    public void Dispose() => _remove(this);

    internal void Signal() => _signal.Writer.TryWrite(true);

    internal void Close() => _signal.Writer.TryComplete();
}

/// <summary>
/// This scheduler is about to end; another, or the same one restarted, goes on. gRPC: Unavailable, so that clients try again.
/// </summary>
public sealed class SchedulerStoppingException() : Exception("the scheduler is stopping; try again");
