using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>job move ID QUEUE and job priority ID N, whether the job waits or runs.</summary>
internal static class UpdateVerbs
{
    public static Command BuildMove(VerbFactory verbs)
    {
        var (job, queue) = (JobArgument.Make(), new Argument<string>("QUEUE") { Description = "the queue's name" });
        var command = verbs.Verb("move", "Put a job into another queue.", (context, cancellationToken) => UpdateAsync(
            context, new UpdateJobRequest
            {
                JobId = context.Arguments.GetRequiredValue(job),
                Queue = context.Arguments.GetRequiredValue(queue),
            }, cancellationToken));
        command.Arguments.Add(job);
        command.Arguments.Add(queue);
        return command;
    }

    public static Command BuildPriority(VerbFactory verbs)
    {
        var (job, priority) = (JobArgument.Make(), new Argument<int>("N") { Description = "a larger number comes first" });
        var command = verbs.Verb("priority", "Give a job another priority.", (context, cancellationToken) => UpdateAsync(
            context, new UpdateJobRequest
            {
                JobId = context.Arguments.GetRequiredValue(job),
                Priority = context.Arguments.GetRequiredValue(priority),
            }, cancellationToken));
        command.Arguments.Add(job);
        command.Arguments.Add(priority);
        return command;
    }

    private static async Task<int> UpdateAsync(VerbContext context, UpdateJobRequest request, CancellationToken cancellationToken)
    {
        var job = (await context.Connection.Jobs.UpdateJobAsync(request, context.Connection.Call(cancellationToken))).Job;
        if (context.Json)
            await context.Output.DocumentAsync(job);
        else
            await context.Output.LineAsync($"job {job.Id} {job.Spec.Name}: queue {job.QueueName}, priority {job.Priority}");
        return ExitCode.Done;
    }
}
