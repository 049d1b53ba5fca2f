using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>The part of one attempt that runs on this node, from its launch until its last exit is acknowledged.</summary>
internal sealed partial class LocalAttempt : IDisposable
{
    private readonly AttemptServices _services;
    // Not disposed with the attempt: a heartbeat may still find it stale. It holds nothing that disposal would free.
    private readonly CancellationTokenSource _stale = new();
    private readonly CancellationTokenRegistration _agentEnds;
    private readonly Lock _gate = new();
    private readonly List<LocalRank> _ranks = [];
    private readonly HashSet<string> _devices;
    private readonly string _dataSet;
    private readonly List<ITimer> _graceTimers = [];
    private readonly LogSpool _logs;
    private readonly byte[] _secret;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource<Task> _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private AgentSignal? _stopSignal;
    private string? _killReason;
    private bool _evicted;
    private int _startedRanks;
    private volatile bool _exitsAcknowledged;

    /// <param name="dataSet">As nodes offer it; empty where the job needs none.</param>
    public LocalAttempt(AttemptKey key, string secret, IEnumerable<string> devices, string dataSet, AttemptServices services)
    {
        Key = key;
        _dataSet = dataSet;
        _devices = [.. devices];
        _agentEnds = services.AgentEnds.Register(_stale.Cancel);
        Secret = secret;
        _secret = Encoding.UTF8.GetBytes(secret);
        _services = services;
        _logger = services.Logger;
        _logs = new LogSpool(services.Options.LogSpoolBytes, services.TimeProvider);
        SharedMemory = new SharedMemorySegments(services.Memory);
        Chunks = new SharedChunks(Path.Combine(services.Identity.ChunkFolder, Guid.NewGuid().ToString("N")));
    }

    public AttemptKey Key { get; }

    public string Secret { get; }

    public SharedMemorySegments SharedMemory { get; }

    /// <summary>Of the checkpoint that its ranks go on from.</summary>
    public SharedChunks Chunks { get; }

    /// <summary>Cancelled when this attempt is no longer the job's current one, or the agent ends: nothing that it sends counts.</summary>
    public CancellationToken Stale => _stale.Token;

    /// <summary>The scheduler knows of every exit. What is left of the log is still on its way.</summary>
    public bool ExitsAcknowledged => _exitsAcknowledged;

    /// <summary>
    /// Ends when every exit has been acknowledged by the scheduler and the log is there, or the attempt was given up before it began.
    /// </summary>
    public Task Ended => _running.Task.Unwrap();

    public IReadOnlyList<LocalRank> Ranks
    {
        get
        {
            lock (_gate)
                return [.. _ranks];
        }
    }

    public bool IsSecret(string secret) => CryptographicOperations.FixedTimeEquals(_secret, Encoding.UTF8.GetBytes(secret));

    /// <summary>Whether a device is taken: from the launch until its rank's process is reaped.</summary>
    public bool Uses(string device) =>
        _devices.Contains(device) && Ranks.FirstOrDefault(rank => rank.Device == device) is not { HasEnded: true };

    /// <summary>Adds a rank whose process has just started. It is told what the others have been told meanwhile.</summary>
    public void Add(LocalRank rank)
    {
        lock (_gate)
        {
            _ranks.Add(rank);
            if (_evicted)
                rank.Evict();
            if (_stopSignal is not null)
                rank.Signal(_stopSignal);
            if (_killReason is not null)
                rank.Kill(_killReason);
        }
    }

    /// <summary>A rank trains.</summary>
    public void Started(LocalRank rank)
    {
        lock (_gate)
        {
            if (!rank.TrySetStarted() || ++_startedRanks < _devices.Count)
                return;
        }

        Chunks.Dispose();
    }

    /// <summary>Writes a line of the agent's own into the attempt's log.</summary>
    public void Say(int rank, string text) => Log(rank, LogStream.Agent, text);

    public void Log(int rank, LogStream stream, string text) => _logs.Add(rank, stream, text);

    /// <summary>All ranks are started: ships what they write, and sees each to its acknowledged end.</summary>
    public void Begin() => _running.SetResult(RunAsync());

    /// <summary>The agent itself ends: trainers that end from now on have not failed.</summary>
    public void Evict()
    {
        lock (_gate)
        {
            _evicted = true;
            foreach (var rank in _ranks)
                rank.Evict();
        }
    }

    /// <summary>
    /// Asks every trainer to stop, and kills those that are still there after the grace period. Of several periods the first to end counts.
    /// </summary>
    public void Stop(string reason, TimeSpan grace)
    {
        LogStop(Key.Job, Key.Attempt, reason, grace);
        var signal = new AgentSignal { Stop = new StopSignal { Grace = Duration.FromTimeSpan(grace), Reason = reason } };
        lock (_gate)
        {
            _stopSignal = signal;
            foreach (var rank in _ranks)
                rank.Signal(signal);
        }

        if (grace <= TimeSpan.Zero)
        {
            Kill(reason);
            return;
        }

        var timer = _services.TimeProvider.CreateTimer(
            _ => Kill($"still running {grace.TotalSeconds:0.#} s after it was asked to stop: {reason}"), null, grace,
            Timeout.InfiniteTimeSpan);
        lock (_gate)
            _graceTimers.Add(timer);
    }

    /// <summary>Ends every trainer at once, and drops what they have not sent.</summary>
    public void EndStale(string reason)
    {
        Kill(reason);
        _stale.Cancel();
    }

    public void Kill(string reason)
    {
        lock (_gate)
        {
            _killReason ??= reason;
            foreach (var rank in _ranks)
                rank.Kill(reason);
        }
    }

    public void Dispose()
    {
        lock (_gate)
            _graceTimers.ForEach(timer => timer.Dispose());
        SharedMemory.Dispose();
        Chunks.Dispose();
        _agentEnds.Dispose();
        _running.TrySetResult(Task.CompletedTask);
    }

    private async Task RunAsync()
    {
        using var logsEnd = new CancellationTokenSource();
        var shipping = ShipLogsAsync(logsEnd.Token);
        var ranks = Ranks.Select(FollowAsync).ToList();
        await Task.WhenAll(ranks.Append(FreeSharedMemoryAsync()));
        _exitsAcknowledged = true;
        await _logs.DrainedAsync();
        await logsEnd.CancelAsync();
        await shipping;
    }

    private async Task FreeSharedMemoryAsync()
    {
        await Task.WhenAll(Ranks.Select(rank => rank.Process.Ended));
        SharedMemory.Dispose();
    }

    private async Task FollowAsync(LocalRank rank)
    {
        var killsBefore = _services.Memory.OutOfMemoryKills();
        var sending = SendReportsAsync(rank);
        var end = await rank.Process.Ended;
        rank.Close();
        _services.Notes.Remove(rank.Process);
        AgentMetrics.Ended(end);
        var message = ExitMessage.For(rank, end, _services.Memory.OutOfMemoryKills() - killsBefore);
        LogExit(Key.Job, Key.Attempt, rank.Key.Rank, rank.Process.Id, end, message);
        Say(rank.Key.Rank, message.Length == 0
            ? $"trainer of rank {rank.Key.Rank} ended: {end}"
            : $"trainer of rank {rank.Key.Rank} ended: {end}: {message}");

        // The scheduler closes the attempt on its last exit; what a rank reported before must be there by then.
        await sending;
        var linesLeft = await ShipLastLinesAsync(rank.Key.Rank);
        var dataIsGone = await FailedForWantOfDataAsync(rank, end);
        if (dataIsGone)
            message = Joined($"{_dataSet} is no longer in {_services.Options.DataRoot}", message);
        await ReportExitAsync(new ReportExitRequest
        {
            NodeId = _services.Identity.NodeId.ToString(),
            JobId = Key.Job.ToString(),
            Attempt = Key.Attempt,
            Rank = rank.Key.Rank,
            ExitCode = dataIsGone ? TrainerExit.DataGone : end.ExitCode,
            Signal = dataIsGone ? 0 : end.Signal,
            Message = Joined(message, linesLeft),
            Evicted = rank.IsEvicted,
        });
    }

    private static string Joined(params string[] parts) => string.Join("; ", parts.Where(part => part.Length > 0));

    /// <summary>Whether the rank failed by itself, and its data is gone: then that is why, and it is no fault of the job.</summary>
    private async Task<bool> FailedForWantOfDataAsync(LocalRank rank, ProcessEnd end)
    {
        if (_dataSet.Length == 0 || rank.IsEvicted || rank.KilledBecause.Length > 0)
            return false;
        var mayBe = end.Signal != 0 || end.ExitCode is not (TrainerExit.Done or TrainerExit.Stopped or TrainerExit.OutOfMemory);
        try
        {
            return mayBe && await _services.Data.IsGoneAsync(_dataSet, Stale);
        }
        catch (OperationCanceledException) when (Stale.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Waits for the rank's own lines, for a while: other ranks may write on for as long as they train.</summary>
    /// <returns>How many are still on their way then, in words; empty when none are. The scheduler takes them after the exit too.</returns>
    private async Task<string> ShipLastLinesAsync(int rank)
    {
        try
        {
            await _logs.DrainedAsync(rank).WaitAsync(_services.Options.LastLinesPatience, _services.TimeProvider);
            return "";
        }
        catch (TimeoutException)
        {
            var left = _logs.Waiting(rank);
            LogLinesLate(Key.Job, Key.Attempt, rank, left);
            return left == 1 ? "1 line of its log is still on its way" : $"{left} lines of its log are still on their way";
        }
    }

    private async Task SendReportsAsync(LocalRank rank)
    {
        try
        {
            await rank.Reports.SendAllAsync(report => SendReportAsync(rank, report), Stale);
        }
        catch (Exception e) when (e is OperationCanceledException or RpcException && Stale.IsCancellationRequested)
        {
            // What a stale attempt reports counts no more.
        }
    }

    private async Task SendReportAsync(LocalRank rank, ReportRequest report)
    {
        try
        {
            await _services.Retry.WithinOutageLimitAsync(
                "Report", async token => await _services.Scheduler.Attempts.ReportAsync(
                    report, SchedulerLink.AsRank(rank.Key, Secret, _services.CallDeadline(), token)), Stale);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Aborted)
        {
            EndStale($"the attempt is no longer current: {e.Status.Detail}");
        }
        catch (RpcException e) when (SchedulerRetry.IsOutage(e))
        {
            Kill($"the scheduler has been away for {_services.Options.OutageLimit} (Agent:OutageLimit)");
        }
        catch (RpcException e) when (!Stale.IsCancellationRequested)
        {
            LogReportRefused(Key.Job, Key.Attempt, rank.Key.Rank, report.Sequence, e.Status);
            Say(rank.Key.Rank, $"report {report.Sequence} was refused and is lost: {e.Status.StatusCode}: {e.Status.Detail}");
        }
    }

    private async Task ReportExitAsync(ReportExitRequest exit)
    {
        try
        {
            await _services.Retry.UntilAcknowledgedAsync(
                "ReportExit", async token => await _services.Scheduler.Registry.ReportExitAsync(exit, _services.Scheduler.AsNode(token)),
                _services.AgentEnds);
        }
        catch (RpcException e)
        {
            // The scheduler frees the device when this node's lease, or its list of running attempts, says so.
            LogExitRefused(Key.Job, Key.Attempt, exit.Rank, e.Status);
        }
        catch (OperationCanceledException) when (_services.AgentEnds.IsCancellationRequested)
        {
            LogExitUnsent(Key.Job, Key.Attempt, exit.Rank);
        }
    }

    private async Task ShipLogsAsync(CancellationToken cancellationToken)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _services.AgentEnds);
        try
        {
            while (true)
            {
                var batch = await _logs.NextBatchAsync(NewBatch, ends.Token);
                await SendLogsAsync(batch, ends.Token);
                _logs.Acknowledge();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or RpcException && ends.IsCancellationRequested)
        {
            // All lines are with the scheduler, or the agent ends.
        }
        finally
        {
            if (_logs.Abandon() is > 0 and var lost)
                LogLinesUnsent(Key.Job, Key.Attempt, lost);
        }
    }

    private async Task SendLogsAsync(AppendLogsRequest batch, CancellationToken cancellationToken)
    {
        try
        {
            await _services.Retry.WhileAwayAsync(
                "AppendLogs", async token => await _services.Scheduler.Registry.AppendLogsAsync(batch, _services.Scheduler.AsNode(token)),
                cancellationToken);
        }
        catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
        {
            LogLinesRefused(Key.Job, Key.Attempt, batch.Lines.Count, e.Status);
        }
    }

    private AppendLogsRequest NewBatch() => new()
    {
        NodeId = _services.Identity.NodeId.ToString(),
        JobId = Key.Job.ToString(),
        Attempt = Key.Attempt,
    };
}
