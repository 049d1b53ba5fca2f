using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Persistence;

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
            CreatedAt = ToTimestamp(row.CreatedAt),
            StartedAt = ToTimestamp(row.StartedAt),
            FinishedAt = ToTimestamp(row.FinishedAt),
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
        if (place?.Position is { } position)
            job.Queue = new QueueStanding { Position = position };

        return job;
    }

    /// <param name="states">How many of its jobs are in each state.</param>
    public static Experiment ToExperiment(ExperimentRow row, IEnumerable<JobStateCount> states) => new()
    {
        Id = row.Id.ToString("D"),
        Name = row.Name,
        Owner = row.Owner,
        Workspace = row.Workspace,
        CreatedAt = ToTimestamp(row.CreatedAt),
        States = { states.OrderBy(count => count.State) },
    };

    public static DevicePlacement ToPlacement(DeviceGrantRow row) =>
        new() { Rank = row.Rank, NodeId = row.NodeId.ToString("D"), NodeName = row.NodeName, Device = row.Device };

    public static JobEvent ToEvent(JobEventRow row) => new()
    {
        Sequence = row.Sequence,
        Time = ToTimestamp(row.Time),
        FromState = row.FromState,
        ToState = row.ToState,
        Reason = row.Reason,
        Attempt = row.Attempt,
    };

    public static Run ToRun(JobRow row, IEnumerable<DeviceGrantRow> grants, RunRow? run) => new()
    {
        JobId = row.Id.ToString("D"),
        Name = row.Name,
        Owner = row.Owner,
        State = row.State,
        Model = row.Spec.Model,
        Data = row.Spec.Data,
        Hyperparameters = row.Spec.Hyperparameters,
        Parallelism = row.Spec.Parallelism,
        Seed = row.Spec.Seed,
        Attempts = row.Attempt,
        StartedAt = ToTimestamp(row.StartedAt),
        FinishedAt = ToTimestamp(row.FinishedAt),
        Progress = run?.Progress,
        Environment = run?.Environment,
        Placement = { grants.Select(ToPlacement) },
    };

    /// <param name="job">Null for imported weights.</param>
    public static Checkpoint ToCheckpoint(CheckpointRow row, JobRow? job)
    {
        var checkpoint = new Checkpoint
        {
            Id = row.Id.ToString("D"),
            JobId = row.JobId?.ToString("D") ?? "",
            Attempt = row.Attempt,
            Step = row.Step,
            Epoch = row.Epoch,
            CreatedAt = ToTimestamp(row.CreatedAt),
            Bytes = row.Bytes,
            Owner = row.Owner,
            Model = job?.Spec.Model ?? row.ImportedModel,
            Source = job?.Name ?? row.ImportedFile,
        };
        if (row.ValidationAccuracy is { } accuracy)
            checkpoint.ValidationAccuracy = accuracy;
        return checkpoint;
    }

    public static Timestamp ToTimestamp(DateTimeOffset time) => Timestamp.FromDateTimeOffset(time);

    private static Timestamp? ToTimestamp(DateTimeOffset? time) => time is { } value ? Timestamp.FromDateTimeOffset(value) : null;
}
