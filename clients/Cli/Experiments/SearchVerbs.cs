using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Experiments;

/// <summary>experiment pause|resume|limit.</summary>
internal static class SearchVerbs
{
    public static Command BuildPause(VerbFactory verbs, Argument<string> id)
    {
        var reason = new Option<string?>("--reason") { Description = "shown while its jobs are paused", HelpName = "TEXT" };
        var command = verbs.Verb("pause", "Put all jobs of an experiment aside; a search decides nothing meanwhile.",
            async (context, cancellationToken) =>
            {
                var request = new PauseExperimentRequest
                {
                    ExperimentId = context.Arguments.GetRequiredValue(id),
                    Reason = context.Arguments.GetValue(reason) ?? "",
                };
                var paused = await context.Connection.Experiments.PauseExperimentAsync(
                    request, context.Connection.Call(cancellationToken));
                return await TellAsync(context, paused.Experiment);
            });
        command.Arguments.Add(id);
        command.Options.Add(reason);
        return command;
    }

    public static Command BuildResume(VerbFactory verbs, Argument<string> id)
    {
        var command = verbs.Verb("resume", "Queue what was paused of an experiment again; a search goes on.",
            async (context, cancellationToken) =>
            {
                var request = new ResumeExperimentRequest { ExperimentId = context.Arguments.GetRequiredValue(id) };
                var resumed = await context.Connection.Experiments.ResumeExperimentAsync(
                    request, context.Connection.Call(cancellationToken));
                return await TellAsync(context, resumed.Experiment);
            });
        command.Arguments.Add(id);
        return command;
    }

    public static Command BuildLimit(VerbFactory verbs, Argument<string> id)
    {
        var trials = new Option<int>("--max-trials") { Description = "trials in all", HelpName = "N" };
        var concurrent = new Option<int>("--max-concurrent") { Description = "trials that train, or wait to, at once", HelpName = "N" };
        var command = verbs.Verb("limit", "Change how many trials a search makes; those that train are left to.",
            async (context, cancellationToken) =>
            {
                var request = new LimitExperimentRequest
                {
                    ExperimentId = context.Arguments.GetRequiredValue(id),
                    MaxTrials = context.Arguments.GetValue(trials),
                    MaxConcurrent = context.Arguments.GetValue(concurrent),
                };
                if (request is { MaxTrials: 0, MaxConcurrent: 0 })
                    throw new CliException(ExitCode.Usage, "nothing is to be changed; give --max-trials, --max-concurrent or both");
                var limited = await context.Connection.Experiments.LimitExperimentAsync(
                    request, context.Connection.Call(cancellationToken));
                return await TellAsync(context, limited.Experiment);
            });
        command.Arguments.Add(id);
        command.Options.Add(trials);
        command.Options.Add(concurrent);
        return command;
    }

    private static async Task<int> TellAsync(VerbContext context, Experiment experiment)
    {
        if (context.Json)
            await context.Output.DocumentAsync(experiment);
        else
            await context.Output.LineAsync(ExperimentLines.Standing(experiment));
        return ExitCode.Done;
    }
}
