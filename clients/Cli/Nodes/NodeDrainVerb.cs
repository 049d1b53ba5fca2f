using System.CommandLine;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Cli.Nodes;

/// <summary>node drain NODE, node resume NODE.</summary>
internal static class NodeDrainVerb
{
    public static Command BuildDrain(VerbFactory verbs)
    {
        var node = NodeArgument();
        var reason = new Option<string?>("--reason") { Description = "kept with the machine, and shown", HelpName = "TEXT" };
        var grace = new Option<int?>("--grace")
        {
            Description = "seconds that jobs which run there get for a last checkpoint (otherwise the scheduler's Jobs:CancelGrace)",
            HelpName = "SECONDS",
        };
        var keep = new Option<bool>("--keep") { Description = "let jobs that run there end by themselves" };
        var command = verbs.Verb(
            "drain", "Place nothing new on a machine; its jobs go on elsewhere from a checkpoint, which costs them no restart.",
            async (context, cancellationToken) =>
            {
                var (seconds, keeps) = (context.Arguments.GetValue(grace), context.Arguments.GetValue(keep));
                if (keeps && seconds is not null)
                    throw new CliException(ExitCode.Usage, "--grace is for jobs that are stopped, and --keep stops none; give one of them");
                var request = new DrainNodeRequest
                {
                    NodeId = context.Arguments.GetRequiredValue(node),
                    Reason = context.Arguments.GetValue(reason) ?? "",
                    KeepRunning = keeps,
                    Grace = seconds is { } given ? new Duration { Seconds = given } : null,
                };
                var drained = (await context.Connection.Nodes.DrainNodeAsync(request, context.Connection.Call(cancellationToken))).Node;
                await TellAsync(context, drained, NodeStates.Of(drained));
                return ExitCode.Done;
            });
        command.Arguments.Add(node);
        command.Options.Add(reason);
        command.Options.Add(grace);
        command.Options.Add(keep);
        return command;
    }

    public static Command BuildResume(VerbFactory verbs)
    {
        var node = NodeArgument();
        var command = verbs.Verb("resume", "Let a drained machine take jobs again.", async (context, cancellationToken) =>
        {
            var request = new ResumeNodeRequest { NodeId = context.Arguments.GetRequiredValue(node) };
            var resumed = (await context.Connection.Nodes.ResumeNodeAsync(request, context.Connection.Call(cancellationToken))).Node;
            await TellAsync(context, resumed, NodeStates.Of(resumed));
            return ExitCode.Done;
        });
        command.Arguments.Add(node);
        return command;
    }

    private static Argument<string> NodeArgument() =>
        new("NODE") { Description = "the machine, by its name, its id or a unique beginning of it" };

    private static Task TellAsync(VerbContext context, Node node, string state) => context.Json
        ? context.Output.DocumentAsync(node)
        : context.Output.LineAsync($"node {node.Name} ({node.Id}): {state}");
}
