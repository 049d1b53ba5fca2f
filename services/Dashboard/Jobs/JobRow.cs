using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Dashboard.Jobs;

/// <summary>What lists, counts and searches know of a job: a small part of it, since there are many.</summary>
/// <param name="Data">As nodes tell it: "cifar-10", "image-folder/my-photos".</param>
/// <param name="Code">Why it is in its state, as a stable code: why it waits, that it hangs, why it ended; mostly empty.</param>
/// <param name="Nodes">Where its ranks are or were last, with commas between.</param>
public sealed record JobRow(
    string Id, string Name, JobState State, string Reason, string Code, string Owner, string Model, string Data, int Devices, int Priority,
    string Nodes, string Variant)
{
    /// <summary>Where it waits or runs, or did last.</summary>
    public required string Queue { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public int Epoch { get; init; }
    public int Epochs { get; init; }
    public long Step { get; init; }
    public long Steps { get; init; }
    public double? Loss { get; init; }

    /// <summary>The newest on data that was not trained on, or else on what was.</summary>
    public double? Accuracy { get; init; }
    public double? Rate { get; init; }

    /// <summary>
    /// Place in its queue, "3" or, where the line is counted so far only, "1000 or later"; empty for one that does not wait.
    /// </summary>
    public string Position { get; init; } = "";

    /// <summary>The same as a number, to sort by; 0 for one that does not wait, or whose place is not known.</summary>
    public int Place { get; init; }
    public DateTimeOffset? ExpectedStart { get; init; }

    public static JobRow Of(Job job)
    {
        var (spec, progress) = (job.Spec, job.Progress ?? new Progress());
        return new JobRow(
            job.Id, spec.Name, job.State, job.Reason, job.ReasonCode, job.Owner,
            spec.Model.Name, DataCatalog.AdvertisedName(spec.Data), spec.Resources.Devices, job.Priority,
            string.Join(", ", job.Placement.Select(rank => rank.NodeName).Distinct()), job.Variant)
        {
            Queue = job.QueueName,
            CreatedAt = job.CreatedAt.ToDateTimeOffset(),
            StartedAt = job.StartedAt?.ToDateTimeOffset(),
            FinishedAt = job.FinishedAt?.ToDateTimeOffset(),
            Epoch = progress.Epoch,
            Epochs = progress.Epochs > 0 ? progress.Epochs : spec.Hyperparameters?.Epochs ?? 0,
            Step = progress.Step,
            Steps = progress.Steps,
            Loss = progress.HasTrainLoss ? progress.TrainLoss : null,
            Accuracy = AccuracyOf(progress),
            Rate = progress.HasSamplesPerSecond ? progress.SamplesPerSecond : null,
            Position = job.Queue is { Position: > 0 } queue ? $"{queue.Position}{(queue.OrLater ? " or later" : "")}" : "",
            Place = job.Queue?.Position ?? 0,
            ExpectedStart = job.Queue?.EstimatedStart?.ToDateTimeOffset(),
        };
    }

    /// <summary>Best known accuracy of a run: test, else validation, else training.</summary>
    public static double? AccuracyOf(Progress progress) => progress switch
    {
        { HasTestAccuracy: true } => progress.TestAccuracy,
        { HasValidationAccuracy: true } => progress.ValidationAccuracy,
        { HasTrainAccuracy: true } => progress.TrainAccuracy,
        _ => null,
    };

    /// <summary>How long it has run, or ran; null before its start.</summary>
    public TimeSpan? RunTime(TimeProvider time) => StartedAt is { } started ? (FinishedAt ?? time.GetUtcNow()) - started : null;
}
