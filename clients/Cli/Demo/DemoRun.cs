using Cluster.Cli.Jobs;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Grpc.Core;
using Spectre.Console;

namespace Cluster.Cli.Demo;

/// <summary>Submits the demo's jobs, shows them, kills one trainer, and judges what came of it.</summary>
internal sealed class DemoRun(VerbContext context, TrainerProcesses trainers, Func<int, bool> kill)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(500);

    /// <summary>On two slow cores the jobs take under three minutes.</summary>
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(10);

    private readonly List<(DemoJob Demo, Job Job)> jobs = [];
    private KilledTrainer? killed;

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await SubmitAsync(cancellationToken);
        await WatchAsync(cancellationToken);
        return await DemoReport.TellAsync(context, jobs, killed);
    }

    private async Task SubmitAsync(CancellationToken cancellationToken)
    {
        var folder = Path.Combine(context.Host.Environment("CLUSTER_ROOT") ?? ".", "examples");
        foreach (var demo in DemoJob.All)
        {
            var yaml = await JobFileText.ReadAsync(Path.Combine(folder, demo.File), context.Host.In, cancellationToken);
            JobFile.Parse(yaml);
            var request = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString("D"), Yaml = yaml };
            jobs.Add((demo, (await context.Connection.Jobs.SubmitJobAsync(request, context.Connection.Call(cancellationToken))).Job));
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        if (!context.Output.IsTerminal)
        {
            var told = new Dictionary<string, string>(StringComparer.Ordinal);
            await UntilAllEndAsync(() => TellChangesAsync(told), cancellationToken);
            return;
        }

        await context.Output.Console().Live(new Text("…")).StartAsync(async live => await UntilAllEndAsync(() =>
        {
            live.UpdateTarget(new Rows(jobs.SelectMany(pair => new[] { JobView.Render(pair.Job, context.Host.Time, context.Output.Width), Text.Empty })));
            live.Refresh();
            return Task.CompletedTask;
        }, cancellationToken));
    }

    private async Task UntilAllEndAsync(Func<Task> showAsync, CancellationToken cancellationToken)
    {
        var since = context.Host.Time.GetUtcNow();
        using var looks = new PeriodicTimer(BetweenLooks, context.Host.Time);
        while (true)
        {
            await LookAsync(cancellationToken);
            await showAsync();
            if (jobs.TrueForAll(pair => pair.Job.State.IsFinal()))
                return;
            if (context.Host.Time.GetUtcNow() - since > LongestRun)
                throw new CliException(ExitCode.Failed, $"the demo's jobs did not end within {LongestRun.TotalMinutes} minutes; ./cluster job list shows where they stand");
            await looks.WaitForNextTickAsync(cancellationToken);
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < jobs.Count; i++)
        {
            var (demo, job) = jobs[i];
            if (job.State.IsFinal())
                continue;
            job = (await context.Connection.Jobs.GetJobAsync(new GetJobRequest { JobId = job.Id }, context.Connection.Call(cancellationToken))).Job;
            jobs[i] = (demo, job);
            if (demo.LosesATrainer && killed is null && job.State == JobState.Running)
                await KillOnceSavedAsync(job, cancellationToken);
        }
    }

    // Not before there is a checkpoint to come back to and something to lose since.
    private async Task KillOnceSavedAsync(Job job, CancellationToken cancellationToken)
    {
        var request = new ListCheckpointsRequest { JobId = job.Id };
        var stored = (await context.Connection.Runs.ListCheckpointsAsync(request, context.Connection.Call(cancellationToken))).Checkpoints;
        if (stored.Count == 0 || job.Progress is null || stored.Max(checkpoint => checkpoint.Step) is var saved && job.Progress.Step <= saved)
            return;
        if (trainers.Of(job.Id) is not [.., var (processId, rank)] || !kill(processId))
            return;
        killed = new KilledTrainer(processId, rank, stored.Max(checkpoint => checkpoint.Step), job.Progress.Step);
        if (!context.Output.IsTerminal)
            await context.Output.LineAsync(DemoReport.Describe(killed, job));
    }

    private async Task TellChangesAsync(Dictionary<string, string> told)
    {
        foreach (var (_, job) in jobs)
        {
            var change = $"{job.State} {job.Reason} {job.Progress?.Epoch}";
            if (told.TryGetValue(job.Id, out var last) && last == change)
                continue;
            told[job.Id] = change;
            var figures = job.State == JobState.Running ? Words.Figures(job.Progress) : "";
            await context.Output.LineAsync($"{job.Spec.Name,-22} {JobLines.StateAndReason(job)}{(figures.Length > 0 ? "  " : "")}{figures}");
        }
    }
}
