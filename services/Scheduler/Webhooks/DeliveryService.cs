using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Webhooks;

/// <summary>Delivers events as soon as they are there, at least once each, and again after a fault with longer and longer delays.</summary>
/// <remarks>
/// Each webhook is served by itself, a few events at a time: a receiver that is slow or away keeps no other waiting. An event is claimed in
/// Postgres before it is sent, so that several schedulers share them; a scheduler that dies leaves claims that run out.
/// </remarks>
internal sealed partial class DeliveryService(
    DeliveryStore store, WebhookSender sender, WebhookWords words, JobFeed feed, IOptions<WebhookOptions> options,
    IHostApplicationLifetime lifetime, TimeProvider time, ILogger<DeliveryService> logger)
    : BackgroundService
{
    private const int AtOnce = 4;

    // It bounds how late a delay's end is noticed. A look where nothing is due is two small statements.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    // Jobs often change together, and each change brings a look.
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(20);

    private readonly Dictionary<Guid, Task> _serving = [];
    private DateTimeOffset _nextTrim;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await lifetime.StartedAsync(stoppingToken);
            using var subscription = feed.SubscribeToAll(JobChange.State);
            var look = options.Value.FirstDelay < Interval ? options.Value.FirstDelay : Interval;
            while (true)
            {
                await TryPassAsync(stoppingToken);
                await subscription.WaitAsync(look, stoppingToken);
                await Task.Delay(Gathering, time, stoppingToken);
            }
        }
        catch (Exception end) when (end is SchedulerStoppingException || stoppingToken.IsCancellationRequested)
        {
            // Whoever starts next finds what is due.
        }

        await Task.WhenAll(_serving.Values);
    }

    /// <summary>Begins to serve the webhooks for which something is due and which are not being served.</summary>
    private async Task TryPassAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (time.GetUtcNow() >= _nextTrim)
                await TrimAsync(cancellationToken);
            foreach (var done in _serving.Where(each => each.Value.IsCompleted).Select(each => each.Key).ToList())
                _serving.Remove(done);
            foreach (var webhook in await store.FindDueAsync(cancellationToken))
            {
                if (!_serving.ContainsKey(webhook))
                    _serving.Add(webhook, ServeAsync(webhook, cancellationToken));
            }
        }
        catch (Exception fault) when (!cancellationToken.IsCancellationRequested)
        {
            LogUnread(fault);
        }
    }

    private async Task TrimAsync(CancellationToken cancellationToken)
    {
        var dropped = await store.TrimAsync(cancellationToken);
        _nextTrim = time.GetUtcNow() + Interval;
        if (dropped == 0)
            return;
        LogDropped(dropped, options.Value.MostPending);
        Count("dropped", dropped);
    }

    /// <summary>Delivers until nothing is due. It never throws.</summary>
    private async Task ServeAsync(Guid webhook, CancellationToken cancellationToken)
    {
        try
        {
            while (await store.ClaimAsync(webhook, AtOnce, cancellationToken) is { Count: > 0 } claimed)
                await Task.WhenAll(claimed.Select(delivery => DeliverAsync(delivery, cancellationToken)));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Its claims run out, and then another scheduler sends what is left.
        }
        catch (Exception fault)
        {
            LogUnread(fault);
        }
    }

    private async Task DeliverAsync(Delivery delivery, CancellationToken cancellationToken)
    {
        var told = await words.OfAsync(delivery, cancellationToken);
        if (await sender.SendAsync(delivery.Url, delivery.Secret, told, cancellationToken) is not { } fault)
        {
            await store.DeliveredAsync(delivery, cancellationToken);
            Count("delivered");
            return;
        }

        var isDead = delivery.Tries >= options.Value.Tries;
        await store.FailedAsync(delivery, fault, isDead ? null : time.GetUtcNow() + DelayAfter(delivery.Tries), cancellationToken);
        Count(isDead ? "dead" : "failed");
        if (isDead)
            LogDead(delivery.Event.Webhook, delivery.Event.JobId, $"{delivery.Event.To}", delivery.Tries, fault);
    }

    private TimeSpan DelayAfter(int tries)
    {
        var (first, longest) = (options.Value.FirstDelay, options.Value.LongestDelay);
        var seconds = first.TotalSeconds * Math.Pow(2, tries - 1);
        return seconds < longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : longest;
    }

    private static void Count(string result, long events = 1) =>
        SchedulerTelemetry.WebhookDeliveries.Add(events, new KeyValuePair<string, object?>("result", result));

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Webhook {Webhook} was not told that job {JobId} is {State}: given up after {Tries} tries, the last because: {Fault}")]
    private partial void LogDead(string webhook, string jobId, string state, int tries, string fault);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Dropped} events were dropped, since more than {MostPending} waited for one webhook; webhook list shows for which")]
    private partial void LogDropped(long dropped, int mostPending);

    [LoggerMessage(Level = LogLevel.Error, Message = "Which webhooks are to be called could not be read; it is tried again soon")]
    private partial void LogUnread(Exception fault);
}
