using Cluster.Contracts.V1;

namespace Cluster.Contracts;

/// <summary>What a job does with its network, by the job file's words.</summary>
public static class JobTasks
{
    public const string Train = "train", Evaluate = "evaluate", Predict = "predict";

    public static IReadOnlyList<string> All { get; } = [Train, Evaluate, Predict];

    /// <summary>Also for a spec that does not say: training was once all there was.</summary>
    public static bool IsTraining(this JobSpec spec) => spec.Task?.Name is null or "" or Train;

    public static bool IsPrediction(this JobSpec spec) => spec.Task?.Name == Predict;

    /// <summary>Whether the job begins with weights that it names.</summary>
    public static bool HasInitialWeights(this JobSpec spec) =>
        spec.InitFrom is { } from && (from.Checkpoint.Length > 0 || from.Job.Length > 0 || from.File.Length > 0);
}
