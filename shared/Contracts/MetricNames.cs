namespace Cluster.Contracts;

/// <summary>Names of a run's series: what the trainers report, Postgres keeps and people see.</summary>
/// <remarks>
/// Losses are means over samples, in nats; accuracies and shares are fractions of one; times are seconds. The training loss is that of a
/// network's main output, without its auxiliary heads', so that networks with and without them can be compared.
/// </remarks>
public static class MetricNames
{
    public const string TrainLoss = "train/loss";
    public const string TrainAccuracy = "train/accuracy";
    public const string ValidationLoss = "validation/loss";
    public const string ValidationAccuracy = "validation/accuracy";
    public const string TestLoss = "test/loss";
    public const string TestAccuracy = "test/accuracy";
    public const string TrainLearningRate = "train/learning_rate";

    /// <summary>Over all ranks together.</summary>
    public const string TrainSamplesPerSecond = "train/samples_per_second";

    /// <summary>Norm of the whole network's gradient before it was clipped; only where the job clips.</summary>
    public const string TrainGradientNorm = "train/gradient_norm";

    public const string StepDataWaitSeconds = "step/data_wait_seconds";
    public const string StepForwardSeconds = "step/forward_seconds";
    public const string StepBackwardSeconds = "step/backward_seconds";
    public const string StepCommunicationSeconds = "step/communication_seconds";
    public const string StepOptimizerSeconds = "step/optimizer_seconds";

    /// <summary>For which training stands still after a step that a checkpoint is due at, while it is copied.</summary>
    public const string StepCheckpointSeconds = "step/checkpoint_seconds";

    /// <summary>The most memory that a rank's process has had resident so far, of the rank that needed most.</summary>
    public const string MemoryPeakBytes = "memory/peak_bytes";

    /// <summary>Training pictures that could not be read in an epoch.</summary>
    public const string DataBrokenImages = "data/broken_images";

    /// <summary>What a step spends its time on, in order.</summary>
    public static IReadOnlyList<string> StepParts { get; } =
        [StepDataWaitSeconds, StepForwardSeconds, StepBackwardSeconds, StepCommunicationSeconds, StepOptimizerSeconds];

    public static IReadOnlyList<string> All { get; } =
    [
        TrainLoss, TrainAccuracy, ValidationLoss, ValidationAccuracy, TestLoss, TestAccuracy, TrainLearningRate, TrainSamplesPerSecond,
        TrainGradientNorm, StepDataWaitSeconds, StepForwardSeconds, StepBackwardSeconds, StepCommunicationSeconds, StepOptimizerSeconds,
        StepCheckpointSeconds, MemoryPeakBytes, DataBrokenImages,
    ];

    /// <summary>
    /// One of <see cref="StepParts"/> of a single rank, as a mean over some steps: "rank/3/forward_seconds". A job of one rank has none.
    /// </summary>
    public static string OfRank(int rank, string stepPart) =>
        $"rank/{rank}/{stepPart[(stepPart.IndexOf('/', StringComparison.Ordinal) + 1)..]}";
}
