using Cluster.Cli.Connection;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;
using Spectre.Console;

namespace Cluster.Cli.Jobs;

/// <summary>Shows a job until it ends: live on a terminal, as lines in a pipe, as JSON for programs.</summary>
internal sealed class JobFollower(VerbContext context)
{
    /// <summary>In a pipe, progress within an epoch is told no more often than this.</summary>
    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(10);

    private DateTimeOffset lastLine;
    private int lastEpoch;

    /// <returns>
    /// 0 if the job succeeded, 1 if not, 130 when interrupted: then the job goes on and the reader is told how to come back.
    /// </returns>
    public async Task<int> FollowAsync(string jobId, CancellationToken cancellationToken)
    {
        Job? last = null;
        try
        {
            var messages = new JobWatch(context.Connection, context.Host.Time, context.Output.RemarkAsync)
                .MessagesAsync(jobId, cancellationToken);
            if (context.Output.IsTerminal)
                last = await ShowLiveAsync(messages);
            else
                await foreach (var message in messages)
                    await TellAsync(message, last = message.Job);
        }
        catch (Exception interrupted) when (cancellationToken.IsCancellationRequested
            && interrupted is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            var id = Words.Short(last?.Id ?? jobId);
            await context.Output.RemarkAsync(
                $"detached; the job goes on. Follow it again: ./cluster job watch {id}   Cancel it: ./cluster job cancel {id}");
            return ExitCode.Interrupted;
        }

        if (!context.Json)
            await context.Output.LineAsync(JobLines.Ending(last!, context.Host.Time));
        return JobLines.ExitCodeOf(last!.State);
    }

    private async Task<Job> ShowLiveAsync(IAsyncEnumerable<WatchJobResponse> messages)
    {
        Job? last = null;
        await context.Output.Console().Live(new Text("…")).AutoClear(false).StartAsync(async live =>
        {
            await foreach (var message in messages)
            {
                last = message.Job;
                live.UpdateTarget(JobView.Render(last, context.Host.Time, context.Output.Width));
                live.Refresh();
            }
        });
        return last!;
    }

    private async Task TellAsync(WatchJobResponse message, Job job)
    {
        if (context.Json)
        {
            await context.Output.MessageAsync(message);
            return;
        }

        var now = context.Host.Time.GetUtcNow();
        if (message.Event is { } happened)
        {
            var reason = happened.Reason.Length > 0 ? $" ({happened.Reason})" : "";
            await context.Output.LineAsync($"{Words.Clock(happened.Time)}  {happened.ToState.Word()}{reason}");
        }
        else if (Words.Figures(job.Progress) is { Length: > 0 } figures
            && (job.Progress.Epoch != lastEpoch || now - lastLine >= BetweenLines))
        {
            (lastEpoch, lastLine) = (job.Progress.Epoch, now);
            await context.Output.LineAsync(
                $"{Words.Clock(Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(now))}  {job.State.Word()}  {figures}");
        }

        await context.Host.Out.FlushAsync();
    }
}
