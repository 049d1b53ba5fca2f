using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>node enroll NAME.</summary>
internal static class NodeEnrollVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var name = new Argument<string>("NAME") { Description = "what the machine's Agent:Name will be" };
        var command = verbs.Verb(
            "enroll", "Print a one-time code by which a machine becomes a node; its agent reads it from Agent:EnrollmentCodeFile.",
            async (context, cancellationToken) =>
            {
                var request = new EnrollNodeRequest { Name = context.Arguments.GetRequiredValue(name) };
                var opened = await context.Connection.Nodes.EnrollNodeAsync(request, context.Connection.Call(cancellationToken));
                if (context.Json)
                {
                    await context.Output.DocumentAsync(opened);
                }
                else
                {
                    // Alone on the output, so that it goes into a file as it is.
                    await context.Output.LineAsync(opened.Code);
                    await context.Output.RemarkAsync(
                        $"for node {request.Name}, once, until {opened.ExpiresAt.ToDateTime():yyyy-MM-dd HH:mm}Z; it is not shown again");
                }

                return ExitCode.Done;
            });
        command.Arguments.Add(name);
        return command;
    }
}
