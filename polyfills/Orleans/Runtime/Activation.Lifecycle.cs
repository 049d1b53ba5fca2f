using Microsoft.Extensions.DependencyInjection;

namespace Orleans.Runtime;

internal sealed partial class Activation
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<GrainTimer> _timers = [];
    private AsyncServiceScope? _scope;
    private DeactivationReason? _deactivation;
    private CancellationToken _deactivationToken;
    private long _lastUsed;

    // Idle collection waits until then; null without a delay.
    private DateTimeOffset? _keepUntil;

    /// <summary>Completes when the activation is gone, however it ended.</summary>
    public Task Ended => _ended.Task;

    public IServiceProvider ActivationServices =>
        _scope?.ServiceProvider ?? throw new InvalidOperationException($"{GrainId} has ended.");

    /// <summary>Makes the grain object and activates it; work that is already queued waits for that.</summary>
    /// <param name="requestContext">That of the call that woke the grain.</param>
    public void Activate(Dictionary<string, object>? requestContext) => _scheduler.Post(() => ActivateAsync(requestContext));

    /// <summary>Ends the activation once nothing runs in it.</summary>
    /// <param name="reason">Handed to the grain.</param>
    /// <param name="cancellationToken">Cancels the grain's own deactivation.</param>
    public void Deactivate(DeactivationReason reason, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            if (_state is ActivationState.Deactivating or ActivationState.Ended)
                return;
            // The first reason stands, but a host that stops must reach an activation that already drains.
            _deactivation ??= reason;
            if (cancellationToken.CanBeCanceled)
                _deactivationToken = cancellationToken;
            DeactivateIfDrained();
        }
    }

    public void CollectIfIdle()
    {
        lock (_gate)
        {
            if (_state != ActivationState.Valid || _deactivation is not null || _running.Count > 0 || _waiting.Count > 0)
                return;
            if (Silo.Time.GetElapsedTime(_lastUsed) < Target.Class.CollectionAge(Silo.Collection) || Silo.Time.GetUtcNow() < _keepUntil)
                return;
            _deactivation = new DeactivationReason(DeactivationReasonCode.ActivationIdle, "The activation was idle.");
            DeactivateIfDrained();
        }
    }

    public void DelayDeactivation(TimeSpan timeSpan)
    {
        lock (_gate)
        {
            _keepUntil = timeSpan == TimeSpan.Zero ? null
                : timeSpan == Timeout.InfiniteTimeSpan || timeSpan == TimeSpan.MaxValue ? DateTimeOffset.MaxValue
                : timeSpan > TimeSpan.Zero ? Silo.Time.GetUtcNow() + timeSpan
                : throw new ArgumentOutOfRangeException(nameof(timeSpan), timeSpan, "Must be positive, zero or infinite.");
        }
    }

    public IGrainTimer AddTimer(Func<CancellationToken, Task> callback, GrainTimerCreationOptions options)
    {
        if (!ReferenceEquals(RuntimeContext.Current, this))
            throw new InvalidOperationException($"A timer of {GrainId} can only be registered by that grain's own code, in one of its turns.");
        var timer = new GrainTimer(this, callback, options);
        lock (_gate)
        {
            if (_state is ActivationState.Deactivating or ActivationState.Ended)
                throw new InvalidOperationException($"{GrainId} is ending and takes no new timer.");
            _timers.Add(timer);
        }

        timer.Start(options.DueTime);
        return timer;
    }

    public void RemoveTimer(GrainTimer timer)
    {
        lock (_gate)
            _timers.Remove(timer);
    }

    /// <summary>Gives up on an activation that does not end: callers get <paramref name="exception"/>.</summary>
    public void Abandon(Exception exception)
    {
        ActivationWork[] left;
        lock (_gate)
        {
            left = [.. _running, .. _waiting];
            _waiting.Clear();
        }

        foreach (var work in left)
            work.Reject(exception);
    }

    private async Task ActivateAsync(Dictionary<string, object>? requestContext)
    {
        RequestContext.Values.Value = requestContext;
        try
        {
            using var timeout = new CancellationTokenSource(Silo.Collection.ActivationTimeout, Silo.Time);
            _scope = Silo.Services.CreateAsyncScope();
            GrainInstance = Target.Class.Create(ActivationServices);
            if (GrainInstance is IGrainBase grain)
                await grain.OnActivateAsync(timeout.Token).WaitAsync(timeout.Token);
        }
        catch (Exception exception)
        {
            LogActivationFailed(_logger, exception, GrainId);
            await EndAsync(work => work.Reject(Silo.Copier.CopyException(exception)));
            return;
        }

        lock (_gate)
        {
            _state = ActivationState.Valid;
            _lastUsed = Silo.Time.GetTimestamp();
            StartWhatMayRun();
            DeactivateIfDrained();
        }
    }

    private void DeactivateIfDrained()
    {
        if (_state != ActivationState.Valid || _deactivation is not { } reason || _running.Count > 0)
            return;
        _state = ActivationState.Deactivating;
        var token = _deactivationToken;
        _scheduler.Post(() => DeactivateAsync(reason, token));
    }

    private async Task DeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        StopTimers();
        if (GrainInstance is IGrainBase grain)
        {
            using var timeout = new CancellationTokenSource(Silo.Collection.DeactivationTimeout, Silo.Time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
            try
            {
                await grain.OnDeactivateAsync(reason, either.Token).WaitAsync(either.Token);
            }
            catch (Exception exception)
            {
                LogDeactivationFailed(_logger, exception, GrainId, reason);
            }
        }

        await EndAsync(work => work.Reroute());
    }

    private async Task EndAsync(Action<ActivationWork> settle)
    {
        StopTimers();
        try
        {
            if (GrainInstance is IAsyncDisposable asyncDisposable)
                await asyncDisposable.DisposeAsync();
            else
                (GrainInstance as IDisposable)?.Dispose();
            if (_scope is { } scope)
                await scope.DisposeAsync();
        }
        catch (Exception exception)
        {
            LogDisposalFailed(_logger, exception, GrainId);
        }

        // Out of the directory first: whoever finds this activation ended must be able to make the next one.
        Silo.Remove(this);
        ActivationWork[] left;
        lock (_gate)
        {
            _state = ActivationState.Ended;
            left = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var work in left.Where(work => !work.IsAbandoned))
            settle(work);
        _ended.SetResult();
    }

    private void StopTimers()
    {
        GrainTimer[] timers;
        lock (_gate)
            timers = [.. _timers];
        foreach (var timer in timers)
            timer.Dispose();
    }
}
