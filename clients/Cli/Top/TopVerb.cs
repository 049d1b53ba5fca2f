using System.CommandLine;
using Cluster.Cli.Jobs;
using Cluster.Cli.Nodes;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;
using Spectre.Console;

namespace Cluster.Cli.Top;

/// <summary>top: what the cluster does now, and why what waits waits. It outlives the scheduler's absence.</summary>
internal static class TopVerb
{
    /// <summary>More jobs of a kind no screen shows.</summary>
    private const int MostJobs = 200;

    private static readonly JobState[] AtWork = [JobState.Starting, JobState.Running, JobState.Stopping];

    public static Command Build(VerbFactory verbs)
    {
        var interval = new Option<double>("--interval")
        {
            Description = "seconds between two looks",
            HelpName = "SECONDS",
            DefaultValueFactory = _ => 2,
        };
        interval.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && double.TryParse(token.Value, out var seconds) && seconds is not (>= 0.1 and <= 3600))
                result.AddError($"--interval is {token.Value} but must be from 0.1 to 3600 seconds; use a number such as 2");
        });
        var command = verbs.Verb(
            "top", "Show machines, devices, the jobs that run and those that wait with their reasons, live; once in a pipe.",
            async (context, cancellationToken) =>
            {
                if (context.Json)
                    throw new CliException(ExitCode.Usage, "top has no JSON of its own; node list --json and job list --json have it all");
                if (context.Output.IsTerminal)
                    await FollowAsync(context, TimeSpan.FromSeconds(context.Arguments.GetValue(interval)), cancellationToken);
                else
                    await context.Output.BlockAsync(TopView.Text(await LookAsync(context, cancellationToken), context.Host.Time));
                return ExitCode.Done;
            });
        command.Options.Add(interval);
        return command;
    }

    private static async Task FollowAsync(VerbContext context, TimeSpan interval, CancellationToken cancellationToken)
    {
        // A wrong address or token is told at once, not shown as an absence.
        var now = await LookAsync(context, cancellationToken);
        var lostAt = (DateTimeOffset?)null;
        await context.Output.Console().Live(new Text("…")).AutoClear(true).StartAsync(async live =>
        {
            while (true)
            {
                live.UpdateTarget(TopView.Render(now, lostAt, context.Host));
                live.Refresh();
                await Task.Delay(interval, context.Host.Time, cancellationToken);
                try
                {
                    (now, lostAt) = (await LookAsync(context, cancellationToken), null);
                }
                catch (RpcException fault) when (fault.Meaning() is StatusCode.Unavailable or StatusCode.DeadlineExceeded)
                {
                    lostAt ??= context.Host.Time.GetUtcNow();
                }
            }
        });
    }

    private static async Task<TopState> LookAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var nodes = await NodeListVerb.ListAsync(context, cancellationToken);
        var running = await ListVerb.ListAsync(context, new ListJobsRequest { States = { AtWork } }, MostJobs, cancellationToken);
        var waiting = await ListVerb.ListAsync(
            context, new ListJobsRequest { States = { JobState.Queued } }, MostJobs, cancellationToken);
        return new TopState(nodes.Nodes, running.Jobs, waiting.Jobs);
    }
}

/// <summary>The cluster at one moment.</summary>
internal sealed record TopState(IReadOnlyList<Node> Nodes, IReadOnlyList<Job> Running, IReadOnlyList<Job> Waiting);
