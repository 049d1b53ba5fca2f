using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
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
    public LocalAttempt(
        AttemptKey key, string secret, IEnumerable<string> devices, string dataSet, LogPolicies policies, AttemptServices services)
    {
        Policies = policies;
        Key = key;
        DataSet = dataSet;
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

    /// <summary>That it trains on, as nodes offer it; empty where the job needs none.</summary>
    public string DataSet { get; }

    public LogPolicies Policies { get; }

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

    public void Log(int rank, LogStream stream, string text)
    {
        _logs.Add(rank, stream, text);
        if (Policies.Look(rank, text) is > 0 and var slow)
        {
            _logs.Add(rank, LogStream.Agent, $"failurePolicies[{slow}] takes more than {LogPattern.Timeout.TotalSeconds} s for a "
                + "line, and is not looked for any more");
        }
    }

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
        var ranks = Ranks.Select(rank => new RankFollower(this, rank, _logs, _services).RunAsync()).ToList();
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
