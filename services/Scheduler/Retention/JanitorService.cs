using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Retention;

/// <summary>Sends the janitor round now and then.</summary>
internal sealed partial class JanitorService(
    Janitor janitor, IOptions<RetentionOptions> options, TimeProvider time, ILogger<JanitorService> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepInterval, time);
        try
        {
            do
            {
                await TrySweepAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task TrySweepAsync(CancellationToken cancellationToken)
    {
        try
        {
            await janitor.SweepAsync(cancellationToken);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            LogFailed(fault);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "The janitor could not begin, or its hold on the work was lost; the next sweep tries again")]
    private partial void LogFailed(Exception fault);
}
