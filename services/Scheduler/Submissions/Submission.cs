using System.Collections.Immutable;
using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Submissions;

/// <summary>What is stored together or not at all: one job by itself, or an experiment with its jobs in the file's order.</summary>
/// <param name="Experiment">Null: a job by itself.</param>
internal sealed record Submission(ImmutableArray<JobSubmission> Jobs, ExperimentRow? Experiment);

/// <summary>A job on its way into the store.</summary>
/// <param name="RequestId">Unique among the owner's jobs.</param>
/// <param name="TraceParent">W3C trace context of the submission, or empty.</param>
/// <param name="ForecastUntil">So long it is not placed while its memory is not known; null: it need not wait.</param>
internal sealed record JobSubmission(
    JobId Id, string Owner, string RequestId, JobSpec Spec, bool WaitForCapacity, string TraceParent, string TraceState,
    MemoryEstimate? Memory, DateTimeOffset? ForecastUntil, DateTimeOffset CreatedAt)
{
    public ExperimentId? Experiment { get; init; }

    /// <summary>Empty outside an experiment.</summary>
    public string Variant { get; init; } = "";

    /// <summary>Null: it need not wait for others of its experiment.</summary>
    public ArrayTurn? Turn { get; init; }

    /// <summary>Whether it is not placed before others are over.</summary>
    public bool AwaitsJobs => Spec.After.Count > 0 || Turn is { IsFirst: false };

    public string Reason => $"submitted by {Owner}";

    public string Queue => Spec.Queue.Length > 0 ? Spec.Queue : QueueNames.Default;

    /// <param name="requestId">Made by the client for this job; the job's id follows from it, see <see cref="JobIds"/>.</param>
    /// <param name="spec">With every default filled in.</param>
    /// <param name="now">Kept in whole microseconds, Postgres' finest.</param>
    public static JobSubmission Of(string owner, string requestId, JobSpec spec, bool waitForCapacity, DateTimeOffset now)
    {
        var span = Activity.Current;
        return new JobSubmission(
            JobIds.ForRequest(owner, requestId), owner, requestId, spec, waitForCapacity, span?.Id ?? "", span?.TraceStateString ?? "",
            null, null, now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond)));
    }

    /// <summary>The job as it is right after it was stored.</summary>
    public Job ToJob()
    {
        var job = new Job
        {
            Id = Id.ToString(),
            Spec = Spec,
            Owner = Owner,
            State = JobState.Queued,
            Reason = Reason,
            CreatedAt = CreatedAt.ToTimestamp(),
            ExperimentId = Experiment?.ToString() ?? "",
            Variant = Variant,
            Memory = Memory,
            QueueName = Queue,
            Priority = Spec.Priority,
        };
        if (AwaitsJobs)
            (job.Reason, job.ReasonCode) = (QueueReason.OtherJobs.Words, QueueReason.OtherJobs.Code);
        else if (ForecastUntil is not null)
            (job.Reason, job.ReasonCode) = (QueueReason.Forecast.Words, QueueReason.Forecast.Code);
        return job;
    }
}

/// <summary>A job's place in an array of which only so many go on at once.</summary>
/// <param name="Place">From 0.</param>
internal sealed record ArrayTurn(int Place, int AtOnce)
{
    /// <summary>Its turn is at once.</summary>
    public bool IsFirst => Place < AtOnce;
}
