using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using Cluster.Cli.Access;
using Cluster.Cli.Certificates;
using Cluster.Cli.Checkpoints;
using Cluster.Cli.Completions;
using Cluster.Cli.Connection;
using Cluster.Cli.Demo;
using Cluster.Cli.Experiments;
using Cluster.Cli.Jobs;
using Cluster.Cli.Models;
using Cluster.Cli.Nodes;
using Cluster.Cli.Queues;
using Cluster.Cli.References;
using Cluster.Cli.Runs;
using Cluster.Cli.Top;
using Cluster.Cli.Webhooks;
using Cluster.Contracts.JobFiles;
using Grpc.Core;

namespace Cluster.Cli;

/// <summary>The tree of verbs, and the one place where a fault becomes a line and an exit code.</summary>
internal static class CommandLine
{
    private static readonly TimeSpan TimeToDetach = TimeSpan.FromSeconds(3);

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, CliHost host, CancellationToken cancellationToken)
    {
        var parsed = Tree(host).Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            foreach (var error in parsed.Errors)
                await host.Error.WriteLineAsync($"{error.Message.TrimEnd('.')}; see {CommandName(parsed)} --help");
            return ExitCode.Usage;
        }

        var invocation = new InvocationConfiguration
        {
            Output = host.Out,
            Error = host.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = TimeToDetach,
        };
        return await parsed.InvokeAsync(invocation, cancellationToken);
    }

    /// <summary>All verbs, with help as wide as a terminal, and in a pipe unbroken.</summary>
    internal static Command Tree(CliHost host)
    {
        var common = new CommonOptions();
        var verbs = new VerbFactory(host, common);
        Command root = null!;
        root = new Command("./cluster", "Submit training jobs and see what becomes of them.\n\n" + ExitCode.Help)
        {
            TopVerb.Build(verbs),
            new Command("job", "training jobs")
            {
                SubmitVerb.Build(verbs), ListVerb.Build(verbs), DescribeVerb.Build(verbs),
                WatchVerb.Build(verbs), LogsVerb.Build(verbs), PauseVerb.BuildPause(verbs), PauseVerb.BuildResume(verbs),
                CancelVerb.Build(verbs), UpdateVerbs.BuildMove(verbs), UpdateVerbs.BuildPriority(verbs),
            },
            QueueVerbs.Build(verbs),
            ExperimentVerbs.Build(verbs),
            new Command("node", "the machines")
            {
                NodeListVerb.Build(verbs), NodeDescribeVerb.Build(verbs), NodeDrainVerb.BuildDrain(verbs), NodeDrainVerb.BuildResume(verbs),
                NodeRemoveVerb.Build(verbs), NodeEnrollVerb.Build(verbs),
            },
            new Command("run", "what training gave")
            {
                RunListVerb.Build(verbs), CompareVerb.Build(verbs), ExportVerb.BuildExport(verbs), ExportVerb.BuildTensorBoard(verbs),
                PredictionsVerb.Build(verbs),
            },
            new Command("checkpoint", "stored weights")
            {
                CheckpointListVerb.Build(verbs),
                DownloadVerb.Build(verbs),
                ImportVerb.Build(verbs),
                DeleteVerb.Build(verbs),
            },
            ModelVerbs.Build(verbs),
            WebhookVerbs.Build(verbs),
            TokenVerbs.Build(verbs),
            WorkspaceVerbs.Build(verbs),
            AuditVerbs.Build(verbs),
            ValidateVerb.Build(verbs),
            CompletionVerbs.BuildCompletion(verbs),
            CompletionVerbs.BuildComplete(verbs, () => root),
            ReferenceVerb.Build(verbs),
            DemoVerb.Build(verbs),
            CertificateVerbs.Build(verbs),
            common.Server, common.Token, common.Authority, common.Json,
        };
        root.Options.Add(new HelpOption { Action = new HelpAction { MaxWidth = host.IsTerminal ? host.Width : int.MaxValue } });
        root.Options.Add(new VersionOption { Action = new VersionAction(host) });
        return root;
    }

    /// <summary>Runs a verb's body and turns what may go wrong into one line on stderr and its code.</summary>
    public static async Task<int> GuardAsync(CliHost host, string server, Func<Task<int>> body, CancellationToken cancellationToken)
    {
        try
        {
            return await body();
        }
        catch (JobFileException wrong)
        {
            foreach (var violation in wrong.Violations)
                await host.Error.WriteLineAsync(violation.ToString());
            return ExitCode.Usage;
        }
        catch (CliException end)
        {
            await host.Error.WriteLineAsync(end.Message);
            return end.ExitCode;
        }
        catch (Exception interrupted) when (cancellationToken.IsCancellationRequested
            && interrupted is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            return ExitCode.Interrupted;
        }
        catch (RpcException fault)
        {
            var end = CallFault.Explain(fault, server);
            await host.Error.WriteLineAsync(end.Message);
            return end.ExitCode;
        }
    }

    /// <summary>Of this program, whatever process it runs in.</summary>
    private sealed class VersionAction(CliHost host) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var version = typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!;
            host.Out.WriteLine(version.InformationalVersion);
            return ExitCode.Done;
        }
    }

    private static string CommandName(ParseResult parsed)
    {
        var names = new List<string>();
        for (var at = parsed.CommandResult; at is not null; at = at.Parent as System.CommandLine.Parsing.CommandResult)
            names.Insert(0, at.Command.Name);
        return string.Join(' ', names);
    }
}
