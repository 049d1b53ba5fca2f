using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>Follows one rank of an attempt to its end: sends on what it reports, and tells the scheduler of its exit.</summary>
internal sealed partial class RankFollower(LocalAttempt attempt, LocalRank rank, LogSpool logs, AttemptServices services)
{
    private readonly ILogger _logger = services.Logger;

    private AttemptKey Key => attempt.Key;

    private int Rank => rank.Key.Rank;

    /// <summary>Ends when the scheduler has acknowledged the exit, or the agent itself ends.</summary>
    public async Task RunAsync()
    {
        var killsBefore = services.Memory.OutOfMemoryKills();
        var sending = SendReportsAsync();
        var end = await rank.Process.Ended;
        rank.Close();
        services.Notes.Remove(rank.Process);
        AgentMetrics.Ended(end);
        var message = ExitMessage.For(rank, end, services.Memory.OutOfMemoryKills() - killsBefore);
        LogExit(Key.Job, Key.Attempt, Rank, rank.Process.Id, end, message);
        attempt.Say(Rank, message.Length == 0
            ? $"trainer of rank {Rank} ended: {end}"
            : $"trainer of rank {Rank} ended: {end}: {message}");

        // The scheduler closes the attempt on its last exit; what a rank reported before must be there by then.
        await sending;
        var linesLeft = await ShipLastLinesAsync();
        var dataIsGone = await FailedForWantOfDataAsync(end);
        if (dataIsGone)
            message = Joined($"{attempt.DataSet} is no longer in {services.Options.DataRoot}", message);
        await ReportExitAsync(new ReportExitRequest
        {
            NodeId = services.Identity.NodeId.ToString(),
            JobId = Key.Job.ToString(),
            Attempt = Key.Attempt,
            Rank = Rank,
            ExitCode = dataIsGone ? TrainerExit.DataGone : end.ExitCode,
            Signal = dataIsGone ? 0 : end.Signal,
            Message = Joined(message, linesLeft),
            Evicted = rank.IsEvicted,
            MatchedPolicies = { attempt.Policies.FoundOf(Rank) },
        });
    }

    private static string Joined(params string[] parts) => string.Join("; ", parts.Where(part => part.Length > 0));

    /// <summary>Whether the rank failed by itself, and its data is gone: then that is why, and it is no fault of the job.</summary>
    private async Task<bool> FailedForWantOfDataAsync(ProcessEnd end)
    {
        if (attempt.DataSet.Length == 0 || rank.IsEvicted || rank.KilledBecause.Length > 0)
            return false;
        var mayBe = end.Signal != 0 || end.ExitCode is not (TrainerExit.Done or TrainerExit.Stopped or TrainerExit.OutOfMemory);
        try
        {
            return mayBe && await services.Data.IsGoneAsync(attempt.DataSet, attempt.Stale);
        }
        catch (OperationCanceledException) when (attempt.Stale.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Waits for the rank's own lines, for a while: other ranks may write on for as long as they train.</summary>
    /// <returns>How many are still on their way then, in words; empty when none are. The scheduler takes them after the exit too.</returns>
    private async Task<string> ShipLastLinesAsync()
    {
        try
        {
            await logs.DrainedAsync(Rank).WaitAsync(services.Options.LastLinesPatience, services.TimeProvider);
            return "";
        }
        catch (TimeoutException)
        {
            var left = logs.Waiting(Rank);
            LogLinesLate(Key.Job, Key.Attempt, Rank, left);
            return left == 1 ? "1 line of its log is still on its way" : $"{left} lines of its log are still on their way";
        }
    }

    private async Task SendReportsAsync()
    {
        try
        {
            await rank.Reports.SendAllAsync(SendReportAsync, attempt.Stale);
        }
        catch (Exception e) when (e is OperationCanceledException or RpcException && attempt.Stale.IsCancellationRequested)
        {
            // What a stale attempt reports counts no more.
        }
    }

    private async Task SendReportAsync(ReportRequest report)
    {
        try
        {
            await services.Retry.WithinOutageLimitAsync(
                "Report", async token => await services.Scheduler.Attempts.ReportAsync(
                    report, SchedulerLink.AsRank(rank.Key, attempt.Secret, services.CallDeadline(), token)), attempt.Stale);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Aborted)
        {
            attempt.EndStale($"the attempt is no longer current: {e.Status.Detail}");
        }
        catch (RpcException e) when (SchedulerRetry.IsOutage(e))
        {
            attempt.Kill($"the scheduler has been away for {services.Options.OutageLimit} (Agent:OutageLimit)");
        }
        catch (RpcException e) when (!attempt.Stale.IsCancellationRequested)
        {
            LogReportRefused(Key.Job, Key.Attempt, Rank, report.Sequence, e.Status);
            attempt.Say(Rank, $"report {report.Sequence} was refused and is lost: {e.Status.StatusCode}: {e.Status.Detail}");
        }
    }

    private async Task ReportExitAsync(ReportExitRequest exit)
    {
        try
        {
            await services.Retry.UntilAcknowledgedAsync(
                "ReportExit", async token => await services.Scheduler.Registry.ReportExitAsync(exit, services.Scheduler.AsNode(token)),
                services.AgentEnds);
        }
        catch (RpcException e)
        {
            // The scheduler frees the device when this node's lease, or its list of running attempts, says so.
            LogExitRefused(Key.Job, Key.Attempt, Rank, e.Status);
        }
        catch (OperationCanceledException) when (services.AgentEnds.IsCancellationRequested)
        {
            LogExitUnsent(Key.Job, Key.Attempt, Rank);
        }
    }
}
