using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>Looks at the leases again and again, beside all other work: how late a look comes must tell of pauses alone.</summary>
internal sealed partial class LeaseWatchService(
    LeaseWatch watch, IHostApplicationLifetime lifetime, IOptions<NodeOptions> options, TimeProvider time,
    ILogger<LeaseWatchService> logger)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            // The fresh term of every lease begins when agents can be answered.
            await lifetime.StartedAsync(stoppingToken);
            using var timer = new PeriodicTimer(options.Value.LookInterval, time);
            var failing = false;
            do
            {
                failing = !await TryLookAsync(failing, stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await watch.LeaveAsync(cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // Then the others wait, as they do for one that was killed.
        }
    }

    private async Task<bool> TryLookAsync(bool failing, CancellationToken cancellationToken)
    {
        try
        {
            await watch.LookAsync(cancellationToken);
            return true;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            // Once an outage, not once a second.
            if (!failing)
                LogFailed(failure);
            return false;
        }
    }

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The leases of nodes could not be looked at; no node is declared lost until they have had a full term after that")]
    private partial void LogFailed(Exception failure);
}
