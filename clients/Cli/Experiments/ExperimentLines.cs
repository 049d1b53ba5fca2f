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

    /// <summary>"asha, running: 9 trials came to epoch 1, 3 to 3; at most 16 trials, 4 at once; 1 failed; by validation/loss".</summary>
    public static string Search(SearchStanding search)
    {
        var reached = search.Rungs.Where(rung => rung.Trials > 0)
            .Select((rung, index) => index == 0
                ? $"{Trials(rung.Trials)} came to epoch {rung.Epochs}"
                : $"{rung.Trials} to {rung.Epochs}");
        var others = new[] { (search.Stopped, "stopped"), (search.Failed, "failed"), (search.Invalid, "invalid") }
            .Where(other => other.Item1 > 0).Select(other => $"; {other.Item1} {other.Item2}");
        var phase = search.Phase.ToString().ToLowerInvariant();
        return $"{search.Searcher}, {phase}: {string.Join(", ", reached.DefaultIfEmpty("none has validated"))}"
            + $"; at most {Trials(search.MaxTrials)}, {search.MaxConcurrent} at once{string.Concat(others)}; by {search.Metric}";

        static string Trials(int trials) => trials == 1 ? "1 trial" : $"{trials} trials";
    }

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
