using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Experiments;

/// <summary>An experiment in single lines.</summary>
internal static class ExperimentLines
{
    /// <summary>"experiment 0f3c9a1b-… activations: 3 jobs, 1 running, 2 queued".</summary>
    public static string Standing(Experiment experiment) =>
        $"experiment {experiment.Id} {experiment.Name}: {Jobs(experiment)}, {States(experiment)}";

    /// <summary>"1 running, 2 queued".</summary>
    public static string States(Experiment experiment) =>
        string.Join(", ", experiment.States.Select(count => $"{count.Jobs} {count.State.Word()}"));

    public static string Jobs(Experiment experiment) =>
        experiment.States.Sum(count => count.Jobs) is var jobs && jobs == 1 ? "1 job" : $"{jobs} jobs";

    /// <summary>0 if all of its jobs succeeded, 1 if not.</summary>
    public static int ExitCodeOf(Experiment final) =>
        final.States.All(count => count.State == JobState.Succeeded) ? ExitCode.Done : ExitCode.Failed;

    /// <summary>"relu  running  epoch 2/5, step …".</summary>
    public static string Member(Job job) => Words.Figures(job.Progress) is { Length: > 0 } figures && job.State == JobState.Running
        ? $"{job.Variant}  {job.State.Word()}  {figures}"
        : $"{job.Variant}  {Cli.Jobs.JobLines.StateAndReason(job)}";
}
