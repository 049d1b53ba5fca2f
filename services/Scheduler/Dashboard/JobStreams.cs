using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;

namespace Cluster.Scheduler.Dashboard;

/// <summary>What the pages show, as server-sent events whose data are the API's messages in protobuf's JSON.</summary>
public sealed class JobStreams(JobQueries jobs, JobWatch watch, JobFeed feed, TimeProvider time)
{
    private const int JobsShown = 200;
    private const int LogLinesShown = 2000;

    private static readonly string[] Curves =
    [
        MetricNames.TrainLoss, MetricNames.TrainAccuracy, MetricNames.ValidationLoss, MetricNames.ValidationAccuracy,
        MetricNames.TestLoss, MetricNames.TestAccuracy,
    ];

    // Many jobs report many times a second; a person sees no more than this.
    private static readonly TimeSpan ListInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(2);

    /// <summary>Events: "job" for each of the newest jobs, "ready" once these are sent, then "job" for each that is new or changed.</summary>
    public async IAsyncEnumerable<SseItem<string>> JobsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var subscription = feed.SubscribeToAll();
        var sent = new Dictionary<string, Job>();
        var ready = false;
        while (!cancellationToken.IsCancellationRequested)
        {
            var page = await jobs.ListAsync(new JobFilter([], Workspace: "", JobsShown, PageToken: ""), cancellationToken);
            foreach (var job in page.Jobs.Where(job => !job.Equals(sent.GetValueOrDefault(job.Id))))
            {
                sent[job.Id] = job;
                yield return Item("job", job);
            }

            if (!ready)
                yield return new SseItem<string>("{}", "ready");
            ready = true;
            await subscription.WaitAsync(Poll, cancellationToken);
            await Task.Delay(ListInterval, time, cancellationToken);
        }
    }

    /// <summary>Events: "job", "event", "metrics" and "log" as they come, and "end" when no more will.</summary>
    public async IAsyncEnumerable<SseItem<string>> JobAsync(JobId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var items = Channel.CreateBounded<SseItem<string>>(64);
        var producing = ProduceAsync(id, items.Writer, stop.Token);
        try
        {
            await foreach (var item in items.Reader.ReadAllAsync(cancellationToken))
            {
                yield return item;
            }

            yield return new SseItem<string>("{}", "end");
        }
        finally
        {
            await stop.CancelAsync();
            await producing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ProduceAsync(JobId id, ChannelWriter<SseItem<string>> items, CancellationToken cancellationToken)
    {
        try
        {
            await Task.WhenAll(
                WriteAllAsync(watch.UpdatesAsync(id, 0, cancellationToken), async update =>
                {
                    if (update.Event is not null)
                        await items.WriteAsync(Item("event", update.Event), cancellationToken);
                    await items.WriteAsync(Item("job", update.Job), cancellationToken);
                }),
                WriteAllAsync(
                    watch.MetricsAsync(id, Curves, afterStep: 0, follow: true, cancellationToken),
                    points => items.WriteAsync(Item("metrics", new StreamMetricsResponse { Points = { points } }), cancellationToken)),
                WriteAllAsync(
                    watch.LogsAsync(id, afterSequence: 0, rank: null, LogLinesShown, follow: true, cancellationToken),
                    lines => items.WriteAsync(Item("log", new StreamLogsResponse { Lines = { lines } }), cancellationToken)));
            items.Complete();
        }
        catch (Exception fault)
        {
            // The reader is the one to hear of it.
            items.Complete(fault);
        }
    }

    private static async Task WriteAllAsync<T>(IAsyncEnumerable<T> source, Func<T, ValueTask> write)
    {
        await foreach (var element in source)
        {
            await write(element);
        }
    }

    private static SseItem<string> Item(string name, IMessage message) => new(JsonFormatter.Default.Format(message), name);
}
