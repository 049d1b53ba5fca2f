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

    /// <summary>Two cores take about three minutes; a machine busy with other things takes longer.</summary>
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(20);

    /// <summary>Steps that the kill must cost, so that there is something to come back to.</summary>
    private const long LeastLoss = 10;

    private readonly List<(DemoJob Demo, Job Job)> jobs = [];
    private KilledTrainer? killed;

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await SubmitAsync(cancellationToken);
        await WatchAsync(cancellationToken);
        if (killed is not null)
            killed = killed with { ResumedAtStep = await ResumedAtAsync(killed, cancellationToken) };
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
            live.UpdateTarget(
                new Rows(jobs.SelectMany(pair => new[] { JobView.Render(pair.Job, context.Host.Time, context.Output.Width), Text.Empty })));
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
                throw new CliException(ExitCode.Failed,
                    $"the demo's jobs did not end within {LongestRun.TotalMinutes} minutes; ./cluster job list shows where they stand");
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
            job = (await context.Connection.Jobs.GetJobAsync(
                new GetJobRequest { JobId = job.Id }, context.Connection.Call(cancellationToken))).Job;
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
        if (stored.Count == 0 || job.Progress is not { } progress)
            return;
        var saved = stored.Max(checkpoint => checkpoint.Step);
        if (progress.Step < saved + LeastLoss || progress.Step < progress.Steps / 4)
            return;
        if (trainers.Of(job.Id) is not [.., var (processId, rank)] || !kill(processId))
            return;
        killed = new KilledTrainer(processId, rank, job.Attempt, saved, progress.Step);
        if (!context.Output.IsTerminal)
            await SayAsync(DemoReport.Describe(killed, job));
    }

    /// <summary>The first step whose loss was reported after the kill by another attempt than the killed one.</summary>
    private async Task<long?> ResumedAtAsync(KilledTrainer victim, CancellationToken cancellationToken)
    {
        var id = jobs.Single(pair => pair.Demo.LosesATrainer).Job.Id;
        var found = await context.Connection.Jobs.GetJobAsync(new GetJobRequest { JobId = id }, context.Connection.Call(cancellationToken));
        var restart = found.Events.FirstOrDefault(happened => happened.ToState == JobState.Starting && happened.Attempt > victim.Attempt);
        if (restart is null)
            return null;
        long? first = null;
        using var call = context.Connection.Runs.StreamMetrics(
            new StreamMetricsRequest { JobId = id, Names = { MetricNames.TrainLoss } }, context.Connection.Call(cancellationToken));
        await foreach (var batch in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            foreach (var point in batch.Points.Where(point => point.Time >= restart.Time))
                first = Math.Min(first ?? long.MaxValue, point.Step);
        }

        return first;
    }

    // With --json only the last document belongs on stdout.
    private Task SayAsync(string line) => context.Json ? context.Output.RemarkAsync(line) : context.Output.LineAsync(line);

    private async Task TellChangesAsync(Dictionary<string, string> told)
    {
        foreach (var (_, job) in jobs)
        {
            var change = $"{job.State} {job.Reason} {job.Progress?.Epoch}";
            if (told.TryGetValue(job.Id, out var last) && last == change)
                continue;
            told[job.Id] = change;
            var figures = job.State == JobState.Running ? Words.Figures(job.Progress) : "";
            await SayAsync($"{job.Spec.Name,-22} {JobLines.StateAndReason(job)}{(figures.Length > 0 ? "  " : "")}{figures}");
        }
    }
}
