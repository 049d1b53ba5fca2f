using System.Threading.Channels;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>One rank's reports on their way to the scheduler, in order.</summary>
internal sealed class ReportSpool(int maxLength)
{
    private readonly Channel<Entry> _entries = Channel.CreateBounded<Entry>(
        new BoundedChannelOptions(maxLength) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });

    /// <summary>Takes a report; waits while the spool is full.</summary>
    /// <exception cref="ChannelClosedException">The rank has ended.</exception>
    public ValueTask AddAsync(ReportRequest report, CancellationToken cancellationToken) =>
        _entries.Writer.WriteAsync(new Entry(report, null), cancellationToken);

    /// <summary>Returns when all that was added before has been sent.</summary>
    /// <inheritdoc cref="AddAsync"/>
    public async Task SentAsync(CancellationToken cancellationToken)
    {
        var sent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await _entries.Writer.WriteAsync(new Entry(null, sent), cancellationToken);
        await sent.Task.WaitAsync(cancellationToken);
    }

    /// <summary>No more will come: <see cref="SendAllAsync"/> ends after those that are there.</summary>
    public void Complete() => _entries.Writer.TryComplete();

    public async Task SendAllAsync(Func<ReportRequest, Task> send, CancellationToken cancellationToken)
    {
        await foreach (var (report, sent) in _entries.Reader.ReadAllAsync(cancellationToken))
        {
            if (report is not null)
                await send(report);
            sent?.TrySetResult();
        }
    }

    /// <summary>A report, or somebody who waits until all before this one are sent.</summary>
    private readonly record struct Entry(ReportRequest? Report, TaskCompletionSource? Sent);
}
