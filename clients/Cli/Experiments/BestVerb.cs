using System.CommandLine;
using System.Globalization;
using Cluster.Cli.Checkpoints;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Experiments;

/// <summary>experiment best: the job to go on with, and its weights.</summary>
internal static class BestVerb
{
    public static Command Build(VerbFactory verbs, Argument<string> id)
    {
        var output = new Option<string?>("--output", "-o")
        {
            Description = "write its weights there: a folder, or a file that ends in .safetensors",
            HelpName = "PATH",
        };
        var command = verbs.Verb("best", "Show the job of an experiment that validates best, and write its weights if asked to.",
            async (context, cancellationToken) =>
            {
                var request = new GetExperimentRequest { ExperimentId = context.Arguments.GetRequiredValue(id) };
                var found = await context.Connection.Experiments.GetExperimentAsync(request, context.Connection.Call(cancellationToken));
                await ExperimentJobs.AddRestAsync(found.Jobs, found.Experiment.Id, found.NextPageToken, context, cancellationToken);
                var (job, figures, epochs) = BestOf(found)
                    ?? throw new CliException(
                        ExitCode.Failed, $"no job of experiment {Words.Short(found.Experiment.Id)} has validated yet");
                if (context.Arguments.GetValue(output) is { } path)
                {
                    var checkpoint = await CheckpointOfAsync(job, epochs, context, cancellationToken);
                    return await DownloadVerb.RunAsync(context, checkpoint, path, everything: false, cancellationToken);
                }

                if (context.Json)
                    await context.Output.DocumentAsync(job);
                else
                    await context.Output.LineAsync($"job {job.Id} {Printable.OneLine(job.Variant)}: {figures}");
                return ExitCode.Done;
            });
        command.Arguments.Add(id);
        command.Options.Add(output);
        return command;
    }

    /// <summary>What its search found best; without one, the highest accuracy in validation.</summary>
    private static (Job Job, string Figures, int Epochs)? BestOf(GetExperimentResponse found)
    {
        if (found.Experiment.Search is { } search)
        {
            return search.Best is { } best && found.Jobs.FirstOrDefault(job => job.Id == best.JobId) is { } trial
                ? (trial, string.Create(CultureInfo.InvariantCulture, $"{search.Metric} {best.Metric:0.####} at epoch {best.Epochs}"),
                    best.Epochs)
                : null;
        }

        return found.Jobs.Where(job => job.Progress?.HasValidationAccuracy == true).MaxBy(job => job.Progress.ValidationAccuracy) is { } job
            ? (job, $"{MetricNames.ValidationAccuracy} {Words.Percent(job.Progress.ValidationAccuracy)}", 0)
            : null;
    }

    /// <summary>The one of that epoch; where it is not kept, the newest, and it says so.</summary>
    /// <param name="epochs">0: the newest is asked for.</param>
    private static async Task<string> CheckpointOfAsync(Job job, int epochs, VerbContext context, CancellationToken cancellationToken)
    {
        var request = new ListCheckpointsRequest { JobId = job.Id, Limit = 100 };
        var listed = await context.Connection.Runs.ListCheckpointsAsync(request, context.Connection.Call(cancellationToken));
        var chosen = listed.Checkpoints.FirstOrDefault(checkpoint => checkpoint.Epoch == epochs) ?? listed.Checkpoints.FirstOrDefault()
            ?? throw new CliException(ExitCode.Failed, $"job {Words.Short(job.Id)} has no checkpoint");
        if (epochs > 0 && chosen.Epoch != epochs)
            await context.Output.RemarkAsync($"the weights of epoch {epochs} are not kept; these are of epoch {chosen.Epoch}, the newest");
        return chosen.Id;
    }
}
