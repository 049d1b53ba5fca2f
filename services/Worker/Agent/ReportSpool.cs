using System.Threading.Channels;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>One rank's reports on their way to the scheduler, in order.</summary>
internal sealed class ReportSpool(int maxLength)
{
    private readonly Channel<ReportRequest> _reports = Channel.CreateBounded<ReportRequest>(
        new BoundedChannelOptions(maxLength) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });

    /// <summary>Takes a report; waits while the spool is full.</summary>
    /// <exception cref="ChannelClosedException">The rank has ended.</exception>
    public ValueTask AddAsync(ReportRequest report, CancellationToken cancellationToken) =>
        _reports.Writer.WriteAsync(report, cancellationToken);

    /// <summary>No more will come: <see cref="SendAllAsync"/> ends after those that are there.</summary>
    public void Complete() => _reports.Writer.TryComplete();

    public async Task SendAllAsync(Func<ReportRequest, Task> send, CancellationToken cancellationToken)
    {
        await foreach (var report in _reports.Reader.ReadAllAsync(cancellationToken))
            await send(report);
    }
}
