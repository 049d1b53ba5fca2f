using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Demo;

/// <summary>The demo's last words: a table, a verdict and where to look further.</summary>
internal static class DemoReport
{
    public static async Task<int> TellAsync(VerbContext context, IReadOnlyList<(DemoJob Demo, Job Job)> jobs, KilledTrainer? killed)
    {
        var shortfalls = jobs.Select(pair => pair.Demo.Shortfall(pair.Job, killed)).OfType<string>().ToList();
        if (context.Json)
        {
            await context.Output.DocumentAsync(new ListJobsResponse { Jobs = { jobs.Select(pair => pair.Job) } });
        }
        else
        {
            await context.Output.BlockAsync("\n" + Table(context, jobs).Render(width: null) + "\n");
            foreach (var (_, job) in jobs.Where(pair => pair.Demo.LosesATrainer))
            {
                if (killed is not null)
                    await context.Output.LineAsync(
                        $"{Describe(killed, job)}; attempt {job.Attempt} went on at step {killed.ResumedAtStep}");
            }

            await context.Output.BlockAsync(Further(context, jobs));
        }

        foreach (var shortfall in shortfalls)
            await context.Output.RemarkAsync($"the demo failed: {shortfall}; ./cluster job logs shows why");
        return shortfalls.Count == 0 ? ExitCode.Done : ExitCode.Failed;
    }

    public static string Describe(KilledTrainer killed, Job job) =>
        $"{job.Spec.Name}: rank {killed.Rank} (process {killed.ProcessId}) killed with SIGKILL at step {killed.Step}, "
        + $"{killed.Step - killed.CheckpointStep} steps past the checkpoint of step {killed.CheckpointStep}";

    private static ColumnTable Table(VerbContext context, IEnumerable<(DemoJob Demo, Job Job)> jobs)
    {
        var table = new ColumnTable("JOB", "ID", "STATE", "TEST ACCURACY", "NEEDED", "TIME", "IMAGES/S", "RESTARTS", "WHERE");
        foreach (var (demo, job) in jobs)
        {
            var progress = job.Progress;
            table.Add(
                job.Spec.Name, Words.Short(job.Id), job.State.Word(),
                progress is { HasTestAccuracy: true } ? Words.Percent(progress.TestAccuracy) : "",
                Words.Percent(demo.LeastTestAccuracy),
                Words.RunTime(job.StartedAt, job.FinishedAt, context.Host.Time) is { } ran ? Words.Length(ran) : "",
                progress is { HasSamplesPerSecond: true } ? Words.Rate(progress.SamplesPerSecond) : "",
                $"{job.Restarts}", Words.Where(job.Placement));
        }

        return table;
    }

    private static string Further(VerbContext context, IReadOnlyList<(DemoJob Demo, Job Job)> jobs)
    {
        var id = Words.Short(jobs[^1].Job.Id);
        return $"""

            look further
              ./cluster run list                 every run: what was set and what came of it
              ./cluster job describe {id}    events, checkpoints and the complete job file
              ./cluster job logs {id}        what its trainers wrote
              ./cluster job submit FILE -f       your own job; examples/ has some to begin with
              ./cluster down                     stop everything
              dashboard: {Dashboard(context)}

            """;
    }

    private static string Dashboard(VerbContext context)
    {
        var port = context.Host.Environment("CLUSTER_HTTP_PORT") is { Length: > 0 } given ? given : "7080";
        return $"http://{context.Connection.Schedulers.First.Host}:{port}/";
    }
}
