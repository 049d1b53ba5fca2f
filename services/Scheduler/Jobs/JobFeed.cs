using System.Collections.Concurrent;
using System.Threading.Channels;
using Cluster.Contracts;

namespace Cluster.Scheduler.Jobs;

/// <summary>
/// Tells watchers in this process that something about a job is new in Postgres: an event, progress, metrics, log lines, a rendezvous.
/// It carries no content; who is told reads on from where it was.
/// </summary>
/// <remarks>Where several schedulers run, a change made by another one is seen at the watcher's next poll.</remarks>
public sealed class JobFeed(TimeProvider time)
{
    private readonly ConcurrentDictionary<JobFeedSubscription, JobId?> _subscriptions = new();

    /// <summary>Called after the commit.</summary>
    public void Publish(JobId job)
    {
        foreach (var (subscription, wanted) in _subscriptions)
        {
            if (wanted is null || wanted == job)
                subscription.Signal();
        }
    }

    /// <summary>Subscribe first, then read, then wait: so nothing falls between.</summary>
    public JobFeedSubscription Subscribe(JobId job) => Add(job);

    /// <inheritdoc cref="Subscribe"/>
    public JobFeedSubscription SubscribeToAll() => Add(null);

    private JobFeedSubscription Add(JobId? job)
    {
        var subscription = new JobFeedSubscription(time, s => _subscriptions.TryRemove(s, out _));
        _subscriptions[subscription] = job;
        return subscription;
    }
}

/// <summary>One watcher's place in the feed. Several changes between two waits count as one.</summary>
public sealed class JobFeedSubscription : IDisposable
{
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TimeProvider _time;
    private readonly Action<JobFeedSubscription> _remove;

    internal JobFeedSubscription(TimeProvider time, Action<JobFeedSubscription> remove)
    {
        _time = time;
        _remove = remove;
    }

    /// <summary>Returns at the next change since the last return, or when it is time to poll anyhow.</summary>
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
    }

    public void Dispose() => _remove(this);

    internal void Signal() => _signal.Writer.TryWrite(true);
}
