using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Logs;

/// <summary>Sweeps the logs now and then.</summary>
internal sealed partial class LogRetentionService(
    LogRetention retention, IOptions<LogOptions> options, TimeProvider time, ILogger<LogRetentionService> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await TrySweepAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task TrySweepAsync(CancellationToken cancellationToken)
    {
        try
        {
            await retention.SweepAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogFailed(failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Old logs could not be taken away; the next sweep tries again")]
    private partial void LogFailed(Exception failure);
}
