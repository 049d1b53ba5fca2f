using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;

namespace Cluster.Scheduler.Jobs;

/// <summary>Closes an attempt whose trainers are all gone, and moves its job on.</summary>
internal static class AttemptConclusion
{
    /// <summary>Why a job fails whose spec cannot be read, as soon as it would have to be started.</summary>
    public const string Unreadable = "what is stored of it cannot be read, so it cannot be started; submit it again";

    public static void Apply(JobRecord record, JobOptions options, DateTimeOffset now)
    {
        var (job, attempt) = (record.Job, record.Attempt!);
        attempt.State = AttemptState.Ended;
        attempt.EndedAt = now;
        if (attempt.StartedAt is { } started)
            job.Ran += now - started;
        foreach (var grant in record.Grants)
            grant.ReleasedAt = now;

        var asked = job.StoppingTo;
        job.StoppingTo = null;
        if (asked == JobState.Cancelled)
            record.Become(JobState.Cancelled, job.Reason, now, job.ReasonCode);
        else if (AttemptVerdict.AllDone(record))
            Succeed(record, now);
        else if (asked is { } other)
            Release(record, other, options, now);
        else
            Recover(record, options, now);
    }

    private static void Succeed(JobRecord record, DateTimeOffset now)
    {
        // Trainers may be done before their first report arrives; they ran all the same.
        if (record.Job.State == JobState.Starting)
            record.Become(JobState.Running, $"attempt {record.Attempt!.Number} trained", now);
        if (record.Job.TrainUntil is { } until && until < record.Job.Spec.Hyperparameters.Epochs)
        {
            record.Job.TrainedTo = until;
            record.Become(JobState.Paused,
                $"after epoch {until} of {record.Job.Spec.Hyperparameters.Epochs}: goes on if others turn out worse", now);
            return;
        }

        record.Become(JobState.Succeeded, record.Grants.Count == 1 ? "done" : $"all {record.Grants.Count} ranks are done", now);
    }

    /// <summary>After a stop that is nobody's failure: no restart is counted, no node avoided, and no backoff to be waited out.</summary>
    private static void Release(JobRecord record, JobState to, JobOptions options, DateTimeOffset now)
    {
        if (AttemptVerdict.Culprit(record, options) is { } culprit && AttemptVerdict.EndsTheJob(culprit))
            End(record, culprit, now);
        else
            record.Become(to, record.Job.Reason, now, record.Job.ReasonCode);
    }

    private static void End(JobRecord record, DeviceGrantRow culprit, DateTimeOffset now)
    {
        record.Attempt!.Reason = AttemptVerdict.Describe(culprit);
        record.Become(JobState.Failed, record.Attempt.Reason, now);
    }

    private static void Recover(JobRecord record, JobOptions options, DateTimeOffset now)
    {
        var (job, attempt) = (record.Job, record.Attempt!);
        if (!job.Spec.IsReadable())
        {
            record.Become(JobState.Failed, attempt.Reason == Unreadable ? Unreadable : $"{attempt.Reason}; {Unreadable}", now);
            return;
        }

        var policy = job.Spec.Restarts ?? new RestartPolicy();
        if (attempt.LaunchFailed)
        {
            job.LaunchFailures++;
            Requeue(record, attempt.Reason, Backoff.After(job.LaunchFailures, policy), now);
            return;
        }

        var culprit = AttemptVerdict.Culprit(record, options);
        attempt.Reason = culprit is null ? attempt.Reason : AttemptVerdict.Describe(culprit);
        if (culprit is not null && AttemptVerdict.EndsTheJob(culprit))
        {
            End(record, culprit, now);
        }
        else if (FailurePolicies.ReasonToStop(record) is { } stop)
        {
            record.Become(JobState.Failed, $"{attempt.Reason}; {stop}", now, ReasonCodes.StoppedByPolicy);
        }
        else if (job.Restarts >= policy.MaxRestarts)
        {
            record.Become(JobState.Failed,
                policy.MaxRestarts switch
                {
                    0 => attempt.Reason,
                    1 => $"{attempt.Reason}; its one restart is used",
                    var most => $"{attempt.Reason}; all {most} restarts are used",
                }, now);
        }
        else
        {
            job.Restarts++;
            job.ExcludedNodes = [.. job.ExcludedNodes.Union(FailurePolicies.ExcludedNodes(record))];
            job.AvoidNodes = culprit is null ? [] : [culprit.NodeId];
            Requeue(record, $"{attempt.Reason}; restart {job.Restarts} of {policy.MaxRestarts}", Backoff.After(job.Restarts, policy), now);
        }
    }

    private static void Requeue(JobRecord record, string reason, TimeSpan backoff, DateTimeOffset now)
    {
        record.Job.NotBefore = now + backoff;
        record.Become(JobState.Queued, reason, now);
    }
}
