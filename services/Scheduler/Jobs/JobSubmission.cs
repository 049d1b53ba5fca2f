using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Jobs;

/// <summary>A job on its way into the store, by itself or as a member of an experiment.</summary>
/// <param name="RequestId">Unique among the owner's jobs.</param>
/// <param name="TraceParent">W3C trace context of the submission, or empty.</param>
/// <param name="Memory">Null where no node could be asked.</param>
internal sealed record JobSubmission(
    JobId Id, string Owner, string RequestId, JobSpec Spec, bool WaitForCapacity, string TraceParent, string TraceState,
    MemoryEstimate? Memory)
{
    public ExperimentId? Experiment { get; init; }

    /// <summary>Empty outside an experiment.</summary>
    public string Variant { get; init; } = "";

    /// <summary>The job's row and its first event.</summary>
    public (JobRow Job, JobEventRow Submitted) Rows(DateTimeOffset now)
    {
        var reason = $"submitted by {Owner}";
        var job = new JobRow
        {
            Id = Id.Value,
            Owner = Owner,
            RequestId = RequestId,
            Name = Spec.Name,
            Workspace = Spec.Workspace,
            Priority = Spec.Priority,
            Spec = Spec,
            WaitForCapacity = WaitForCapacity,
            TraceParent = TraceParent,
            TraceState = TraceState,
            ExperimentId = Experiment?.Value,
            Variant = Variant,
            Memory = Memory,
            State = JobState.Queued,
            Reason = reason,
            Version = 1,
            LastEvent = 1,
            CreatedAt = now,
        };
        var submitted = new JobEventRow
        {
            JobId = Id.Value,
            Sequence = 1,
            Time = now,
            FromState = JobState.Unspecified,
            ToState = JobState.Queued,
            Reason = reason,
            Attempt = 0,
        };
        return (job, submitted);
    }
}
