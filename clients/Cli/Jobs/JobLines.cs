using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>A job in single lines.</summary>
internal static class JobLines
{
    /// <summary>"queued (waits for 2 cpu devices; position 3)".</summary>
    public static string StateAndReason(Job job)
    {
        var parts = new List<string>();
        if (job.Reason.Length > 0)
            parts.Add(job.Reason);
        if (job.Queue is { Position: > 0 } queue)
            parts.Add(Words.Position(queue));
        return parts.Count == 0 ? job.State.Word() : $"{job.State.Word()} ({string.Join("; ", parts)})";
    }

    /// <summary>What became of a job that has ended, with where to look further.</summary>
    public static string Ending(Job job, TimeProvider time)
    {
        var parts = new List<string> { $"{job.Spec.Name} {StateAndReason(job)}" };
        if (job.Progress is { HasTestAccuracy: true } progress)
            parts.Add($"test accuracy {Words.Percent(progress.TestAccuracy)}");
        if (Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } ran)
            parts.Add($"in {Words.Length(ran)}");
        if (job.Restarts > 0)
            parts.Add($"{job.Restarts} {(job.Restarts == 1 ? "restart" : "restarts")}");
        return string.Join(", ", parts);
    }

    public static int ExitCodeOf(JobState final) => final == JobState.Succeeded ? ExitCode.Done : ExitCode.Failed;
}
