using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>job pause ID and job resume ID.</summary>
internal static class PauseVerb
{
    public static Command BuildPause(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var reason = new Option<string?>("--reason") { Description = "shown while it is paused", HelpName = "TEXT" };
        var command = verbs.Verb("pause",
            "Put a job aside: it writes a checkpoint, releases its devices and waits to be resumed; costs no restart.",
            async (context, cancellationToken) =>
            {
                var request = new PauseJobRequest
                {
                    JobId = context.Arguments.GetRequiredValue(job),
                    Reason = context.Arguments.GetValue(reason) ?? "",
                };
                return await TellAsync(
                    context, (await context.Connection.Jobs.PauseJobAsync(request, context.Connection.Call(cancellationToken))).Job);
            });
        command.Arguments.Add(job);
        command.Options.Add(reason);
        return command;
    }

    public static Command BuildResume(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var command = verbs.Verb("resume", "Queue a paused job again, with its age: it goes on from its checkpoint.",
            async (context, cancellationToken) =>
            {
                var request = new ResumeJobRequest { JobId = context.Arguments.GetRequiredValue(job) };
                return await TellAsync(
                    context, (await context.Connection.Jobs.ResumeJobAsync(request, context.Connection.Call(cancellationToken))).Job);
            });
        command.Arguments.Add(job);
        return command;
    }

    private static async Task<int> TellAsync(VerbContext context, Job job)
    {
        if (context.Json)
            await context.Output.DocumentAsync(job);
        else
            await context.Output.LineAsync($"job {job.Id} {job.Spec.Name}: {JobLines.StateAndReason(job)}");
        return ExitCode.Done;
    }
}
