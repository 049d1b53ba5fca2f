using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>node remove NODE.</summary>
internal static class NodeRemoveVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var node = new Argument<string>("NODE") { Description = "the machine, by its name, its id or a unique beginning of it" };
        var command = verbs.Verb("remove", "Forget a machine that is lost and will not come back.", async (context, cancellationToken) =>
        {
            var request = new RemoveNodeRequest { NodeId = context.Arguments.GetRequiredValue(node) };
            var removed = (await context.Connection.Nodes.RemoveNodeAsync(request, context.Connection.Call(cancellationToken))).Node;
            if (context.Json)
                await context.Output.DocumentAsync(removed);
            else
                await context.Output.LineAsync($"node {removed.Name} ({removed.Id}) removed");
            return ExitCode.Done;
        });
        command.Arguments.Add(node);
        return command;
    }
}
