using Cluster.Cli.Connection;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Spectre.Console;

namespace Cluster.Cli.Experiments;

/// <summary>
/// Shows all jobs of an experiment until the last has ended: a live table on a terminal, lines in a pipe, JSON for programs.
/// </summary>
internal sealed class ExperimentFollower(VerbContext context)
{
    private readonly OrderedDictionary<string, Job> _jobs = [];
    private Experiment? _experiment;

    /// <returns>0 if all succeeded, 1 if not, 130 when interrupted: then the jobs go on.</returns>
    public async Task<int> FollowAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            var messages = new PatientStream(context.Host.Time, context.Output.RemarkAsync).MessagesAsync(
                () => context.Connection.Experiments.WatchExperiment(
                    new WatchExperimentRequest { ExperimentId = id, Brief = true }, context.Connection.Stream(cancellationToken)),
                HasAll, "the jobs go on", cancellationToken);
            messages = messages.Select(Complete);
            if (context.Output.IsTerminal)
                await ShowLiveAsync(messages);
            else
                await foreach (var message in messages)
                    await TellAsync(message);
        }
        catch (Exception interrupted) when (cancellationToken.IsCancellationRequested
            && interrupted is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            var shown = Words.Short(_experiment?.Id ?? id);
            await context.Output.RemarkAsync(
                $"detached; the jobs go on. Follow them again: ./cluster experiment watch {shown}   Cancel them: "
                    + $"./cluster experiment cancel {shown}");
            return ExitCode.Interrupted;
        }

        if (!context.Json)
            await context.Output.BlockAsync(
                ExperimentTable.Of(_jobs.Values).Text(context.Host.Time, context.Output.IsTerminal ? context.Output.Width : null));
        return ExperimentLines.ExitCodeOf(_experiment!);
    }

    private Task ShowLiveAsync(IAsyncEnumerable<WatchExperimentResponse> messages) =>
        // The table at the end stays; this one gives way to it.
        context.Output.Console().Live(new Text("…")).AutoClear(true).StartAsync(async live =>
        {
            await foreach (var message in messages)
            {
                Take(message);
                live.UpdateTarget(ExperimentView.Render(_experiment!, _jobs.Values, context.Output.Width));
                live.Refresh();
            }
        });

    private async Task TellAsync(WatchExperimentResponse message)
    {
        if (context.Json)
        {
            Take(message);
            await context.Output.MessageAsync(message);
            return;
        }

        foreach (var job in message.Jobs.Where(IsNews))
            await context.Output.LineAsync(
                $"{Words.Clock(Timestamp.FromDateTimeOffset(context.Host.Time.GetUtcNow()))}  {ExperimentLines.Member(job)}");
        Take(message);
        await context.Host.Out.FlushAsync();
    }

    /// <summary>Whether each job's end has been told: they may come in several messages, each of which says that all are over.</summary>
    private bool HasAll(WatchExperimentResponse message) =>
        message.Experiment.IsOver() && message.Experiment.States.Sum(count => count.Jobs) == _jobs.Count
            && _jobs.Values.All(job => job.State.IsFinal());

    /// <summary>A new state, or a new epoch; steps within one are not told line by line.</summary>
    private bool IsNews(Job job) =>
        !_jobs.TryGetValue(job.Id, out var before) || before.State != job.State || before.Progress?.Epoch != job.Progress?.Epoch;

    private WatchExperimentResponse Complete(WatchExperimentResponse message)
    {
        foreach (var job in message.Jobs)
            BriefJob.Complete(job, _jobs.GetValueOrDefault(job.Id));
        return message;
    }

    private void Take(WatchExperimentResponse message)
    {
        _experiment = message.Experiment;
        foreach (var job in message.Jobs)
            _jobs[job.Id] = job;
    }
}
