using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Dependencies;

/// <summary>
/// Looks at jobs that wait for others, or for their turn in an array, when one of these is over: they start, wait on, or can never start.
/// </summary>
internal sealed partial class DependencyWork(
    DependencyStore store, IGrainFactory grains, JobFeed feed, ReconcileSignal signal, ILogger<DependencyWork> logger)
{
    /// <param name="jobs">Claimed: what is not settled here is due again.</param>
    public async Task LookAsync(IReadOnlyCollection<JobId> jobs, CancellationToken cancellationToken)
    {
        var found = await store.ReadAsync(jobs, cancellationToken);
        var hopeless = found.Select(job => (Job: job.Key, Reason: DependencyVerdict.ReasonToCancel(job.Value)))
            .Where(job => job.Reason is not null).ToList();
        // Who waits for no other's end waits for its turn in an array.
        var open = jobs.Except(hopeless.Select(job => job.Job))
            .ToLookup(job => !found.TryGetValue(job, out var others) || DependencyVerdict.MayStart(others));
        await store.SettleAsync([.. open[true]], [.. open[false]], cancellationToken);
        await Task.WhenAll(hopeless.Select(job => CancelAsync(job.Job, job.Reason!)));
        foreach (var job in open[true])
            feed.Publish(job);
        if (open[true].Any())
            signal.Place();
    }

    private async Task CancelAsync(JobId job, string reason)
    {
        try
        {
            var command = new CancelJob("the scheduler", reason) { Code = ReasonCodes.DependencyNeverMet };
            await grains.GetGrain<IJobGrain>(job.Value).CancelAsync(command);
        }
        catch (Exception fault)
        {
            LogNotCancelled(fault, job);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Job {JobId}, which can never start, could not be cancelled; it is tried again soon")]
    private partial void LogNotCancelled(Exception fault, JobId jobId);
}
