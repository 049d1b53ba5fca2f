using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Jobs;

/// <summary>Rows to messages; the one place where that is written down.</summary>
internal static class JobMapping
{
    public static Job ToJob(JobRow row, IEnumerable<DeviceGrantRow> grants, Progress? progress, QueuePlace? place)
    {
        var job = new Job
        {
            Id = row.Id.ToString("D"),
            Spec = row.Spec,
            Owner = row.Owner,
            State = row.State,
            Reason = row.Reason,
            ReasonCode = row.ReasonCode,
            CreatedAt = row.CreatedAt.ToTimestamp(),
            StartedAt = row.StartedAt?.ToTimestamp(),
            FinishedAt = row.FinishedAt?.ToTimestamp(),
            Attempt = row.Attempt,
            Restarts = row.Restarts,
            Placement = { grants.Select(ToPlacement) },
            Progress = progress,
            ExperimentId = row.ExperimentId?.ToString("D") ?? "",
            Variant = row.Variant,
            Memory = row.Memory,
        };
        // Placement knows better than the job's row what a queued job waits for; the row says only why it was queued.
        if (place?.Reason is { } reason)
            (job.Reason, job.ReasonCode) = (reason.Words, reason.Code);
        job.Queue = place?.Standing;
        return job;
    }

    public static DevicePlacement ToPlacement(DeviceGrantRow row) =>
        new() { Rank = row.Rank, NodeId = row.NodeId.ToString("D"), NodeName = row.NodeName, Device = row.Device };

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
