using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Runs;

namespace Cluster.Scheduler.Api;

/// <summary>
/// A job as it goes on: events, progress, metrics and log lines, each read from Postgres when the feed says that there is more.
/// </summary>
public sealed class JobWatch(JobQueries jobs, MetricStore metrics, CurveStore curves, LogStore logs, JobFeed feed)
{
    private const int LinesPerMessage = 500;

    /// <summary>The job now, then with each event and progress; ends after the final state's event.</summary>
    /// <param name="brief">After the first time as <see cref="BriefJob"/>.</param>
    public async IAsyncEnumerable<WatchJobResponse> UpdatesAsync(
        JobId id, long afterSequence, bool brief, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var subscription = feed.Subscribe(id, JobChange.State | JobChange.Queue | JobChange.Progress);
        Job? sent = null;
        while (true)
        {
            // The job first: events committed with it, or since, are then in what is read next.
            var job = await GetAsync(id, sent, cancellationToken);
            var events = await jobs.EventsAsync(id, afterSequence, cancellationToken);
            foreach (var change in events)
            {
                afterSequence = change.Sequence;
                yield return new WatchJobResponse { Job = Shown(), Event = change };
                sent = job;
            }

            if (events.Count == 0 && !job.Equals(sent))
                yield return new WatchJobResponse { Job = Shown() };
            sent = job;
            if (job.State.IsFinal())
                yield break;
            await subscription.WaitAsync(JobFeed.Poll, cancellationToken);

            Job Shown() => brief ? BriefJob.Of(job, sent) : job;
        }
    }

    /// <summary>The job now, at each event and with new metrics; ends once it is final: what its trainers sent is all there then.</summary>
    public async IAsyncEnumerable<Job> JobAsync(JobId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var subscription = feed.Subscribe(id, JobChange.State | JobChange.Metrics);
        Job? job = null;
        while (true)
        {
            job = await GetAsync(id, job, cancellationToken);
            yield return job;
            if (job.State.IsFinal())
                yield break;
            await subscription.WaitAsync(JobFeed.Poll, cancellationToken);
        }
    }

    /// <summary>
    /// Batches of metric points in ascending step order per series; with <paramref name="follow"/>, until the job is final.
    /// </summary>
    /// <param name="maxPoints">At most so many of each series at first; 0: all.</param>
    public async IAsyncEnumerable<IReadOnlyList<MetricPoint>> MetricsAsync(
        JobId id, IReadOnlyCollection<string> names, long afterStep, int maxPoints, bool follow,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var cursor = 0L;
        // The job is asked for before the points are read.
        await foreach (var _ in JobAsync(id, cancellationToken))
        {
            if (cursor == 0 && maxPoints > 0)
            {
                (var series, cursor) = await curves.ReadAsync(id, names, maxPoints, cancellationToken);
                foreach (var (name, curve) in series.OrderBy(s => s.Key, StringComparer.Ordinal))
                    yield return [.. curve.Points.Where(point => point.X > afterStep).Select(point => MetricStore.ToMessage(name, point))];
            }
            else
            {
                await foreach (var page in metrics.ReadAsync(id, names, afterStep, cursor, cancellationToken))
                {
                    cursor = page.Cursor;
                    if (page.Points.Count > 0)
                        yield return page.Points;
                }
            }

            if (!follow)
                yield break;
        }
    }

    /// <summary>
    /// Batches of log lines in order; with <paramref name="follow"/>, until the job is final. The first batch then comes at once, empty
    /// where there are no lines: by it the caller knows that it will miss none from here on.
    /// </summary>
    /// <param name="tail">Begin with only the last lines, this many (0: with all).</param>
    public async IAsyncEnumerable<IReadOnlyList<LogLine>> LogsAsync(
        JobId id, long afterSequence, int? rank, int tail, bool follow, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var subscription = feed.Subscribe(id, JobChange.State | JobChange.Logs);
        if (tail > 0)
            afterSequence = await logs.TailAsync(id, afterSequence, rank, tail, cancellationToken);
        var hasBegun = !follow;
        Job? job = null;
        while (true)
        {
            var last = !follow || (job = await GetAsync(id, job, cancellationToken)).State.IsFinal();
            IReadOnlyList<LogLine> lines;
            while ((lines = await logs.ReadAsync(id, afterSequence, rank, LinesPerMessage, cancellationToken)).Count > 0)
            {
                afterSequence = lines[^1].Sequence;
                hasBegun = true;
                yield return lines;
            }

            if (!hasBegun)
                yield return [];
            hasBegun = true;
            if (last)
                yield break;
            await subscription.WaitAsync(JobFeed.Poll, cancellationToken);
        }
    }

    /// <param name="known">As it was read before; null at first.</param>
    private async Task<Job> GetAsync(JobId id, Job? known, CancellationToken cancellationToken) =>
        await jobs.GetAsync(id, known, cancellationToken) ?? throw JobNotFoundException.For(id);
}
