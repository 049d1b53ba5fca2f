using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Nodes;

/// <summary>Stores once a second what agents have measured, and tells now and then how many nodes and devices are in which state.</summary>
internal sealed partial class NodeFiguresService(
    NodeMeasurements measurements, NodeCensus census, LeaseWatch watch, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<NodeFiguresService> logger)
    : BackgroundService
{
    // Agents measure as often; who looks at them does not look oftener.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // Collectors ask every minute by default.
    private const int SavesBetweenCensuses = 10;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await lifetime.StartedAsync(stoppingToken);
            using var timer = new PeriodicTimer(Interval, time);
            for (var saves = 0; await timer.WaitForNextTickAsync(stoppingToken); saves++)
            {
                await TryAsync(() => measurements.SaveAsync(stoppingToken));
                if (saves % SavesBetweenCensuses == 0)
                    await TryAsync(() => CountAsync(stoppingToken));
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    /// <summary>Where several schedulers run, one of them: all would tell the same, and who adds them up would be wrong.</summary>
    private async Task CountAsync(CancellationToken cancellationToken)
    {
        if (watch.IsFirst)
            NodeGauges.Record(await census.TakeAsync(cancellationToken));
        else
            NodeGauges.Clear();
    }

    private async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogFailed(failure);
        }
    }

    // Whatever is wrong with the store is told by those for whom it matters.
    [LoggerMessage(Level = LogLevel.Debug, Message = "Figures of nodes could not be stored or counted; they are soon again")]
    private partial void LogFailed(Exception failure);
}
