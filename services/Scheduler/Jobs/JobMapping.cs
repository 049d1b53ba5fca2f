using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Jobs;

/// <summary>Rows to messages; the one place where that is written down.</summary>
internal static class JobMapping
{
    public static Job ToJob(
        JobRow row, IEnumerable<DevicePlacement> placement, Progress? progress, QueuePlace? place, Preemptions? preemptions,
        AttemptRow? resized)
    {
        var job = new Job
        {
            Id = row.Id.ToString("D"),
            Spec = row.Spec.IsReadable() ? row.Spec : new JobSpec(row.Spec) { Name = row.Name, Workspace = row.Workspace },
            Owner = row.Owner,
            State = row.State,
            Reason = row.Reason,
            ReasonCode = row.ReasonCode,
            CreatedAt = row.CreatedAt.ToTimestamp(),
            StartedAt = row.StartedAt?.ToTimestamp(),
            FinishedAt = row.FinishedAt?.ToTimestamp(),
            Attempt = row.Attempt,
            Restarts = row.Restarts,
            Placement = { placement },
            Progress = progress,
            ExperimentId = row.ExperimentId?.ToString("D") ?? "",
            Variant = row.Variant,
            Memory = row.Memory,
            QueueName = row.Queue,
            Priority = row.Priority,
            LastResize = resized is null ? null : ToResize(resized),
        };
        // Placement knows better than the job's row what a queued job waits for; the row says only why it was queued.
        if (place?.Reason is { } reason)
            (job.Reason, job.ReasonCode) = (reason.Words, reason.Code);
        job.Queue = place?.Standing;
        if (preemptions is not null)
        {
            (job.Preemptions, job.LostDeviceSeconds) = (preemptions.Count, preemptions.LostDeviceSeconds);
            job.LastPreemption = ToPreemption(preemptions.Last);
        }

        return job;
    }

    public static DevicePlacement ToPlacement(DeviceGrantRow row) =>
        new() { Rank = row.Rank, NodeId = row.NodeId.ToString("D"), NodeName = row.NodeName, Device = row.Device };

    private static Preemption ToPreemption(AttemptRow row)
    {
        var preemption = new Preemption
        {
            Attempt = row.Number,
            Time = row.EndingAt?.ToTimestamp(),
            ForJobId = row.PreemptedFor?.ToString("D"),
            Reason = row.Reason,
        };
        if (row.LostDeviceSeconds is { } lost)
            preemption.LostDeviceSeconds = lost;
        return preemption;
    }

    private static Resize ToResize(AttemptRow row) => new()
    {
        Attempt = row.Number,
        Time = row.EndingAt?.ToTimestamp(),
        FromDevices = row.WorldSize,
        ToDevices = row.NextDevices!.Length,
        ForJobId = row.ResizedFor?.ToString("D") ?? "",
        Reason = row.Reason,
    };

    public static JobEvent ToEvent(JobEventRow row) => new()
    {
        Sequence = row.Sequence,
        Time = row.Time.ToTimestamp(),
        FromState = row.FromState,
        ToState = row.ToState,
        Reason = row.Reason,
        Attempt = row.Attempt,
    };
}

/// <summary>What a job has suffered for others.</summary>
internal sealed record Preemptions(int Count, double LostDeviceSeconds, AttemptRow Last);
