using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Models;

namespace Cluster.Scheduler.Submissions;

/// <summary>
/// Takes jobs in: checks what the cluster could never run, settles what a job begins with, stores it and tells who is to act.
/// </summary>
internal sealed class JobIntake(
    SubmissionGroups groups, SubmissionStore store, SubmissionChecks checks, OwnerLimit limit, ForecastWork forecasts,
    JobTransitions transitions, ReconcileSignal signal)
{
    /// <summary>Stores and queues a job; does nothing if that was done before.</summary>
    /// <returns>The job as it was stored; null when it was there already.</returns>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run it, and it is not to wait for capacity.</exception>
    /// <exception cref="InitialCheckpointException">The weights that it is to begin with cannot be found, or are another
    /// model's.</exception>
    /// <exception cref="TooManyJobsException">Its owner has as many jobs as one may have.</exception>
    public async Task<Job?> SubmitAsync(JobSubmission job, CancellationToken cancellationToken)
    {
        try
        {
            job = await checks.PassAsync(job, cancellationToken);
            await limit.EnsureRoomAsync(job.Owner, jobs: 1, cancellationToken);
        }
        catch (Exception refusal) when (
            refusal is InfeasibleJobException or InitialCheckpointException or DependencyException or TooManyJobsException)
        {
            // Only the first submit is refused: a repeated one asks what has become of it.
            if (await store.HasJobAsync(job.Id, cancellationToken))
                return null;
            throw;
        }

        return await StoreAsync(new Submission([job], null)) ? job.ToJob() : null;
    }

    /// <summary>Stores what has passed all checks.</summary>
    /// <returns>False when it was there already.</returns>
    /// <exception cref="InitialCheckpointException">A checkpoint that one of the jobs begins with is gone.</exception>
    public async Task<bool> StoreAsync(Submission submission)
    {
        if (!await groups.StoreAsync(submission))
            return false;
        Tell(submission.Jobs);
        return true;
    }

    /// <summary>Tells who is to act of jobs that have been stored.</summary>
    public void Tell(IReadOnlyCollection<JobSubmission> jobs)
    {
        foreach (var job in jobs)
        {
            transitions.Tell(job.Id, JobState.Unspecified, JobState.Queued, job.Reason);
            if (job.ForecastUntil is { } until)
                forecasts.Begin(job.Id, job.Spec, until);
        }

        if (jobs.Any(job => job.ForecastUntil is null))
            signal.Place();
    }
}
