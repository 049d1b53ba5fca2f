namespace Cluster.Contracts;

/// <summary>Names of a run's series: what the trainers report, Postgres keeps and people see.</summary>
/// <remarks>Losses are means over samples, in nats; accuracies and shares are fractions of one; times are seconds.</remarks>
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

    public const string StepDataWaitSeconds = "step/data_wait_seconds";
    public const string StepForwardSeconds = "step/forward_seconds";
    public const string StepBackwardSeconds = "step/backward_seconds";
    public const string StepCommunicationSeconds = "step/communication_seconds";
    public const string StepOptimizerSeconds = "step/optimizer_seconds";

    public static IReadOnlyList<string> All { get; } =
    [
        TrainLoss, TrainAccuracy, ValidationLoss, ValidationAccuracy, TestLoss, TestAccuracy, TrainLearningRate, TrainSamplesPerSecond,
        StepDataWaitSeconds, StepForwardSeconds, StepBackwardSeconds, StepCommunicationSeconds, StepOptimizerSeconds,
    ];
}
