using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Persistence;

namespace Cluster.Scheduler.Api;

/// <summary>An experiment as its jobs go on, read from Postgres when the feed says that there is more.</summary>
public sealed class ExperimentWatch(ExperimentStore store, JobFeed feed, TimeProvider time)
{
    // A hundred jobs report many times a second; nobody reads faster than this.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    /// <summary>All of its jobs, then those that change; ends once all are final.</summary>
    /// <param name="brief">A job that has been sent comes again as <see cref="BriefJob"/>.</param>
    public async IAsyncEnumerable<WatchExperimentResponse> UpdatesAsync(
        ExperimentId id, bool brief, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var subscription = feed.SubscribeToAll(JobChange.State | JobChange.Queue | JobChange.Progress);
        var sent = new Dictionary<string, Job>();
        while (true)
        {
            var (experiment, jobs, _) = await store.GetAsync(id, sent, cancellationToken) ?? throw ExperimentNotFoundException.For(id);
            var changed = jobs.Where(job => !job.Equals(sent.GetValueOrDefault(job.Id))).ToList();
            var shown = brief ? changed.Select(job => BriefJob.Of(job, sent.GetValueOrDefault(job.Id))) : changed;
            foreach (var batch in shown.InMessages())
                yield return new WatchExperimentResponse { Experiment = experiment, Jobs = { batch } };
            if (experiment.IsOver())
                yield break;
            foreach (var job in changed)
                sent[job.Id] = job;
            await Task.Delay(Interval, time, cancellationToken);
            await subscription.WaitAsync(JobFeed.Poll, cancellationToken);
        }
    }
}
