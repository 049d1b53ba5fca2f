using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>job cancel ID: a finished job stays as it is.</summary>
internal static class CancelVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var reason = new Option<string?>("--reason") { Description = "kept with the job", HelpName = "TEXT" };
        var command = verbs.Verb("cancel", "Cancel a job; its checkpoints stay.", async (context, cancellationToken) =>
        {
            var request = new CancelJobRequest
            {
                JobId = context.Arguments.GetRequiredValue(job),
                Reason = context.Arguments.GetValue(reason) ?? "",
            };
            var cancelled = (await context.Connection.Jobs.CancelJobAsync(request, context.Connection.Call(cancellationToken))).Job;
            if (context.Json)
                await context.Output.DocumentAsync(cancelled);
            else
                await context.Output.LineAsync($"job {cancelled.Id} {cancelled.Spec.Name}: {JobLines.StateAndReason(cancelled)}");
            return ExitCode.Done;
        });
        command.Arguments.Add(job);
        command.Options.Add(reason);
        return command;
    }
}
