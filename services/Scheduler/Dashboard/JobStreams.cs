using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;
using Google.Protobuf;

namespace Cluster.Scheduler.Dashboard;

/// <summary>What the pages show, as server-sent events whose data are the API's messages in protobuf's JSON.</summary>
public sealed class JobStreams(
    JobQueries jobs, ExperimentStore experiments, MetricStore metrics, CurveStore curveStore, JobWatch watch, JobFeed feed,
    TimeProvider time)
{
    private const int JobsShown = 200;
    private const int ExperimentsShown = 20;
    private const int LogLinesShown = 2000;

    // A chart is about 800 dots wide.
    private const int MaxPoints = 4_800;

    private static readonly string[] Series =
    [
        MetricNames.TrainLoss, MetricNames.TrainAccuracy, MetricNames.ValidationLoss, MetricNames.ValidationAccuracy,
        MetricNames.TestLoss, MetricNames.TestAccuracy,
    ];

    // Many jobs report many times a second; a person sees no more than this.
    private static readonly TimeSpan ListInterval = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private Task<Listing>? _list;
    private DateTimeOffset _listedAt;

    /// <summary>
    /// Events: "experiment" and "job" for each of the newest, "ready" once these are sent, then one for each that is new or changed.
    /// </summary>
    public async IAsyncEnumerable<SseItem<string>> JobsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var subscription = feed.SubscribeToAll(JobChange.State | JobChange.Queue | JobChange.Progress);
        Listing? sent = null;
        do
        {
            var listing = await ListAsync(anew: sent is null).WaitAsync(cancellationToken);
            foreach (var (_, experiment) in listing.Experiments.Where(
                now => !now.Value.Equals(sent?.Experiments.GetValueOrDefault(now.Key))))
                yield return Item("experiment", experiment);
            foreach (var (_, job) in listing.Jobs.Where(now => !now.Value.Equals(sent?.Jobs.GetValueOrDefault(now.Key))))
                yield return Item("job", job);
            if (sent is null)
                yield return new SseItem<string>("{}", "ready");
            sent = listing;
        }
        while (await WaitForChangeAsync(subscription, cancellationToken));
    }

    /// <summary>
    /// Events: "job", "event" and "log" as they come, those of <see cref="JobCurves"/>, and "end" when no more will. After the first a job
    /// comes as <see cref="BriefJob"/>.
    /// </summary>
    public async IAsyncEnumerable<SseItem<string>> JobAsync(JobId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var items = Channel.CreateBounded<SseItem<string>>(64);
        var producing = ProduceAsync(id, items.Writer, stop);
        try
        {
            await foreach (var item in items.Reader.ReadAllAsync(cancellationToken))
            {
                yield return item;
            }

            if (await producing)
                yield return new SseItem<string>("{}", "end");
        }
        finally
        {
            await stop.CancelAsync();
            await ((Task)producing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The newest jobs, read once for all browsers that ask within an interval.</summary>
    /// <param name="anew">For who has just subscribed: what was read before that may lack a change of which it will not be told.</param>
    private Task<Listing> ListAsync(bool anew)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            if (_list is null || anew || now - _listedAt >= ListInterval)
            {
                _listedAt = now;
                // Nobody's token: one browser that leaves is not to take the list from the others.
                _list = ReadAsync();
            }

            return _list;
        }

        async Task<Listing> ReadAsync()
        {
            var newest = new Dictionary<string, Job>();
            var pageToken = "";
            do
            {
                var filter = new JobFilter([], Workspace: "", JobsShown - newest.Count, pageToken, WithPlacement: false);
                var page = await jobs.ListAsync(filter, CancellationToken.None);
                foreach (var job in page.Entries)
                    newest.Add(job.Id, JobSummary.Of(job));
                pageToken = page.NextPageToken;
            }
            while (pageToken.Length > 0 && newest.Count < JobsShown);

            var groups = await experiments.ListAsync(ExperimentsShown, pageToken: "", CancellationToken.None);
            return new Listing(newest, groups.Entries.ToDictionary(experiment => experiment.Id));
        }
    }

    /// <returns>False when the scheduler stops; the browser then connects anew.</returns>
    private async Task<bool> WaitForChangeAsync(JobFeedSubscription subscription, CancellationToken cancellationToken)
    {
        try
        {
            await subscription.WaitAsync(JobFeed.Poll, cancellationToken);
            await Task.Delay(ListInterval, time, cancellationToken);
            return true;
        }
        catch (SchedulerStoppingException)
        {
            return false;
        }
    }

    /// <returns>Whether the job is final and all of it is written; false when the scheduler stops before.</returns>
    private async Task<bool> ProduceAsync(JobId id, ChannelWriter<SseItem<string>> items, CancellationTokenSource stop)
    {
        var cancellationToken = stop.Token;
        try
        {
            await WhenAllOrFirstFaultAsync(
                stop,
                WriteAllAsync(watch.UpdatesAsync(id, 0, brief: true, cancellationToken), async update =>
                {
                    if (update.Event is not null)
                        await items.WriteAsync(Item("event", update.Event), cancellationToken);
                    await items.WriteAsync(Item("job", update.Job), cancellationToken);
                }),
                WriteAllAsync(CurvesAsync(id, cancellationToken), item => items.WriteAsync(item, cancellationToken)),
                WriteAllAsync(
                    watch.LogsAsync(id, afterSequence: 0, rank: null, LogLinesShown, follow: true, cancellationToken),
                    async lines =>
                    {
                        foreach (var batch in lines.InMessages())
                            await items.WriteAsync(Item("log", new StreamLogsResponse { Lines = { batch } }), cancellationToken);
                    }));
            items.Complete();
            return true;
        }
        catch (SchedulerStoppingException)
        {
            items.Complete();
            return false;
        }
        catch (Exception fault)
        {
            // The reader is the one to hear of it.
            items.Complete(fault);
            return false;
        }
    }

    private async IAsyncEnumerable<SseItem<string>> CurvesAsync(JobId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var curves = new JobCurves(metrics, curveStore, Series, MaxPoints, ofSeveral: false);
        await foreach (var job in watch.JobAsync(id, cancellationToken))
        {
            await foreach (var item in curves.ReadAsync(job, cancellationToken))
                yield return item;
        }
    }

    /// <summary>One that fails ends the others, or its fault would be heard of only when the job ends.</summary>
    private static async Task WhenAllOrFirstFaultAsync(CancellationTokenSource stop, params Task[] tasks)
    {
        await foreach (var task in Task.WhenEach(tasks))
        {
            if (task.IsCompletedSuccessfully)
                continue;
            await stop.CancelAsync();
            await Task.WhenAll(tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await task;
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

    private sealed record Listing(IReadOnlyDictionary<string, Job> Jobs, IReadOnlyDictionary<string, Experiment> Experiments);
}
