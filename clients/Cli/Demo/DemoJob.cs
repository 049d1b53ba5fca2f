using Cluster.Cli.Jobs;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Demo;

/// <summary>One of the demo's jobs: where its file is and what it must show.</summary>
/// <param name="File">In examples/.</param>
/// <param name="LeastTestAccuracy">Fraction of one.</param>
/// <param name="LosesATrainer">One of its trainers is killed in mid-run, and it must end well all the same.</param>
internal sealed record DemoJob(string File, double LeastTestAccuracy, bool LosesATrainer)
{
    public static IReadOnlyList<DemoJob> All { get; } =
    [
        new("lenet5-data-parallel.yaml", LeastTestAccuracy: 0.88, LosesATrainer: false),
        new("alexnet-two-towers.yaml", LeastTestAccuracy: 0.78, LosesATrainer: false),
        new("lenet5-killed.yaml", LeastTestAccuracy: 0.8, LosesATrainer: true),
    ];

    /// <summary>Why the job as it ended does not show what it must; null if it does.</summary>
    public string? Shortfall(Job job, KilledTrainer? killed) => job switch
    {
        { State: not JobState.Succeeded } => $"{job.Spec.Name} ended {JobLines.StateAndReason(job)}",
        _ when LosesATrainer && killed is null => $"{job.Spec.Name} ended before one of its trainers could be killed",
        { Restarts: 0 } when LosesATrainer => $"{job.Spec.Name} lost a trainer and did not restart",
        _ when LosesATrainer && !(killed!.ResumedAtStep > killed.CheckpointStep) =>
            $"{job.Spec.Name} began again at step {killed!.ResumedAtStep?.ToString() ?? "?"} instead of behind its checkpoint of step "
                + $"{killed.CheckpointStep}",
        { Progress: not { HasTestAccuracy: true } } => $"{job.Spec.Name} reported no test accuracy",
        { Progress.TestAccuracy: var reached } when reached < LeastTestAccuracy =>
            $"{job.Spec.Name} reached {Rendering.Words.Percent(reached)} test accuracy and needs "
                + $"{Rendering.Words.Percent(LeastTestAccuracy)}",
        _ => null,
    };
}

/// <summary>What the demo did to the job that loses a trainer.</summary>
/// <param name="CheckpointStep">The newest checkpoint at that moment.</param>
/// <param name="Step">How far training had come.</param>
/// <param name="ResumedAtStep">First step that the next attempt trained; null if it trained none.</param>
internal sealed record KilledTrainer(int ProcessId, int Rank, int Attempt, long CheckpointStep, long Step, long? ResumedAtStep = null);
