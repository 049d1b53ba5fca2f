using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Checkpoints;

/// <summary>checkpoint delete ID.</summary>
internal static class DeleteVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var id = new Argument<string>("ID") { Description = "the checkpoint, by its id or a unique beginning of it" };
        var command = verbs.Verb(
            "delete", "Delete a checkpoint for good, unless a job that is not over needs it.", async (context, cancellationToken) =>
            {
                var request = new DeleteCheckpointRequest { CheckpointId = context.Arguments.GetRequiredValue(id) };
                var deleted = (await context.Connection.Checkpoints.DeleteCheckpointAsync(
                    request, context.Connection.Call(cancellationToken))).Checkpoint;
                if (context.Json)
                    await context.Output.DocumentAsync(deleted);
                else
                    await context.Output.LineAsync(
                        $"checkpoint {deleted.Id} deleted: {deleted.Source}, step {deleted.Step}, {deleted.Bytes} bytes");
                return ExitCode.Done;
            });
        command.Arguments.Add(id);
        return command;
    }
}
