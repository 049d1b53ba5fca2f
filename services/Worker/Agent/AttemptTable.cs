using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>The attempts on this node, and which device each rank has.</summary>
internal sealed partial class AttemptTable(TrainerLauncher launcher, AttemptServices services, ILogger<AttemptTable> logger)
{
    // A repeated Launch or Stop may come late; nobody repeats one of ten thousand attempts ago.
    private const int RememberedAttempts = 10_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<AttemptKey, LocalAttempt> _attempts = [];
    private readonly HashSet<AttemptKey> _ended = [];
    private readonly Queue<AttemptKey> _endedOrder = new();
    private readonly List<Task> _following = [];
    private bool _closed;

    /// <summary>Attempts whose last exit the scheduler has not yet acknowledged.</summary>
    public IReadOnlyList<AttemptRef> Running
    {
        get
        {
            lock (_gate)
                return [.. _attempts.Values.Where(attempt => !attempt.ExitsAcknowledged).Select(attempt => attempt.Key.ToRef())];
        }
    }

    /// <summary>Starts an attempt's ranks, all or none. An attempt that was started before is left as it is.</summary>
    /// <exception cref="RpcException">As AgentService.Launch says.</exception>
    public async Task LaunchAsync(LaunchRequest request)
    {
        var key = launcher.Check(request);
        LocalAttempt attempt;
        lock (_gate)
        {
            // A refusal, not Unavailable: the scheduler then places the job elsewhere instead of trying here again. It is no failure.
            if (_closed)
                throw new RpcException(new Status(StatusCode.Aborted, "the agent is shutting down"));
            if (_attempts.ContainsKey(key) || _ended.Contains(key))
                return;
            ThrowIfInUse(request);
            var (devices, dataSet) = (request.Ranks.Select(rank => rank.Device), DataCatalog.AdvertisedName(request.Spec?.Data));
            attempt = new LocalAttempt(
                key, request.AttemptSecret, devices, dataSet, new LogPolicies(request.Spec?.FailurePolicies ?? []), services);
            _attempts[key] = attempt;
        }

        try
        {
            await launcher.StartAsync(request, attempt);
        }
        catch (Exception e)
        {
            await GiveUpAsync(attempt);
            LogLaunchFailed(key.Job, key.Attempt, e);
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"a trainer could not be started: {e.Message}"));
        }

        lock (_gate)
        {
            _following.RemoveAll(task => task.IsCompletedSuccessfully);
            _following.Add(ForgetWhenEndedAsync(attempt));
        }

        attempt.Begin();
    }

    public void Stop(AttemptKey key, string reason, TimeSpan grace) => Find(key)?.Stop(reason, grace);

    /// <summary>Ends attempts that the scheduler no longer counts.</summary>
    public void EndStale(IEnumerable<AttemptRef> stale)
    {
        foreach (var reference in stale)
        {
            var key = AttemptKey.Of(reference);
            if (Find(key) is not { } attempt)
                continue;
            LogStale(key.Job, key.Attempt);
            attempt.EndStale("the scheduler has given this attempt up");
        }
    }

    /// <summary>The rank that a call on the agent's socket comes from.</summary>
    /// <exception cref="RpcException">Unauthenticated: the metadata or the secret is wrong. Aborted: no such attempt runs here (any
    /// more).</exception>
    public (LocalAttempt Attempt, LocalRank Rank) Authenticate(ServerCallContext context)
    {
        if (!RankKey.TryRead(context.RequestHeaders, out var key, out var secret))
            throw new RpcException(
                new Status(StatusCode.Unauthenticated, "the call lacks cluster-job, cluster-attempt, cluster-rank or a bearer token"));
        var attempt = Find(key.Attempt) ?? throw new RpcException(new Status(StatusCode.Aborted, "this attempt does not run here"));
        if (!attempt.IsSecret(secret))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "the bearer token is not this attempt's secret"));
        if (attempt.Stale.IsCancellationRequested)
            throw new RpcException(new Status(StatusCode.Aborted, "another attempt has taken this one's place"));
        var rank = attempt.Ranks.FirstOrDefault(rank => rank.Key == key)
            ?? throw new RpcException(new Status(StatusCode.Unauthenticated, $"rank {key.Rank} does not run here"));
        return (attempt, rank);
    }

    /// <summary>The process on a device, or null.</summary>
    public int? ProcessOn(string device)
    {
        lock (_gate)
        {
            return _attempts.Values.SelectMany(attempt => attempt.Ranks)
                .FirstOrDefault(rank => rank.Device == device && !rank.HasEnded)?.Process.Id;
        }
    }

    /// <summary>Whether the agent is shutting down and takes no more launches.</summary>
    public bool IsClosed
    {
        get
        {
            lock (_gate)
                return _closed;
        }
    }

    /// <summary>Takes no more launches; trainers that end from now on are evicted ones.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            foreach (var attempt in _attempts.Values)
                attempt.Evict();
        }
    }

    /// <summary>
    /// Stops what runs. Returns when every exit is acknowledged or <see cref="AttemptServices.AgentEnds"/>, and what attempts held is
    /// freed.
    /// </summary>
    public async Task StopAllAsync(string reason, TimeSpan grace)
    {
        List<LocalAttempt> attempts;
        lock (_gate)
            attempts = [.. _attempts.Values];
        foreach (var attempt in attempts)
            attempt.Stop(reason, grace);
        await Task.WhenAll(attempts.Select(attempt => attempt.Ended));
        List<Task> following;
        lock (_gate)
            following = [.. _following];
        // An agent that ended before would leave its files of chunks.
        await Task.WhenAll(following);
    }

    private LocalAttempt? Find(AttemptKey key)
    {
        lock (_gate)
            return _attempts.GetValueOrDefault(key);
    }

    private void ThrowIfInUse(LaunchRequest request)
    {
        foreach (var rank in request.Ranks)
        {
            if (_attempts.Values.FirstOrDefault(attempt => attempt.Uses(rank.Device)) is { } user)
                throw new RpcException(new Status(
                    StatusCode.ResourceExhausted, $"{rank.Device} is still in use by job {user.Key.Job} attempt {user.Key.Attempt}"));
        }
    }

    private async Task GiveUpAsync(LocalAttempt attempt)
    {
        attempt.Kill("another rank of the attempt could not be started");
        await Task.WhenAll(attempt.Ranks.Select(rank => rank.Process.Ended));
        foreach (var rank in attempt.Ranks)
            services.Notes.Remove(rank.Process);
        lock (_gate)
            _attempts.Remove(attempt.Key);
        attempt.Dispose();
    }

    private async Task ForgetWhenEndedAsync(LocalAttempt attempt)
    {
        try
        {
            await attempt.Ended;
        }
        catch (Exception e)
        {
            LogFollowFailed(attempt.Key.Job, attempt.Key.Attempt, e);
            attempt.Kill("the agent failed to follow it");
        }

        lock (_gate)
        {
            _attempts.Remove(attempt.Key);
            _ended.Add(attempt.Key);
            _endedOrder.Enqueue(attempt.Key);
            if (_endedOrder.Count > RememberedAttempts)
                _ended.Remove(_endedOrder.Dequeue());
        }

        attempt.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} attempt {Attempt} could not be started")]
    private partial void LogLaunchFailed(Contracts.JobId jobId, int attempt, Exception exception);

    [LoggerMessage(Level = LogLevel.Critical, Message = "Job {JobId} attempt {Attempt}: a bug kept the agent from following it to its end")]
    private partial void LogFollowFailed(Contracts.JobId jobId, int attempt, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} attempt {Attempt} is stale: ending its trainers")]
    private partial void LogStale(Contracts.JobId jobId, int attempt);
}
