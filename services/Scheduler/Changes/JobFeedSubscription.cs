using System.Threading.Channels;

namespace Cluster.Scheduler.Changes;

/// <summary>One watcher's place in the feed. Several changes between two waits count as one.</summary>
public sealed class JobFeedSubscription : IDisposable
{
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TimeProvider _time;
    private readonly JobChange _wanted;
    private readonly Action<JobFeedSubscription> _remove;

    internal JobFeedSubscription(TimeProvider time, JobChange wanted, Action<JobFeedSubscription> remove)
    {
        _time = time;
        _wanted = wanted;
        _remove = remove;
    }

    /// <summary>Returns at the next change since the last return, or when it is time to look anyhow.</summary>
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
            // Time to look.
        }
        catch (ChannelClosedException)
        {
            throw new SchedulerStoppingException();
        }
    }

    public void Dispose() => _remove(this);

    internal void Signal(JobChange what)
    {
        if ((what & _wanted) != JobChange.None)
            _signal.Writer.TryWrite(true);
    }

    internal void Close() => _signal.Writer.TryComplete();
}
