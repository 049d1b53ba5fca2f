using System.CommandLine;

namespace Cluster.Cli.Demo;

/// <summary>demo-run: what ./cluster demo does once the services are up.</summary>
internal static class DemoVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var command = verbs.Verb("demo-run", "Run the three jobs of the demo on a scheduler that is up.", (context, cancellationToken) =>
            new DemoRun(context, new TrainerProcesses(), TrainerProcesses.Kill).RunAsync(cancellationToken));
        command.Hidden = true;
        return command;
    }
}
