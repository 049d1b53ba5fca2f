using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Hosting;

namespace Cluster.Scheduler.Searches;

/// <summary>Lets searches decide as soon as something has become of their trials.</summary>
internal sealed partial class SearchService(
    SearchSteps steps, JobFeed feed, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<SearchService> logger)
    : BackgroundService
{
    // It bounds how late is noticed what another scheduler has left undone. A look where nothing is due is one statement.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    // Several trials often end together, and each change of any job's state brings a look.
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(20);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await lifetime.StartedAsync(stoppingToken);
            using var subscription = feed.SubscribeToAll(JobChange.State);
            while (true)
            {
                await TryPassAsync(stoppingToken);
                await subscription.WaitAsync(Interval, stoppingToken);
                await Task.Delay(Gathering, time, stoppingToken);
            }
        }
        catch (Exception end) when (end is SchedulerStoppingException || stoppingToken.IsCancellationRequested)
        {
            // Whoever starts next finds what is due.
        }
    }

    private async Task TryPassAsync(CancellationToken cancellationToken)
    {
        try
        {
            await steps.PassAsync(cancellationToken);
        }
        catch (Exception fault) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(fault);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Which searches are due could not be read; it is tried again soon")]
    private partial void LogFailed(Exception fault);
}
