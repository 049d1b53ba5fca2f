using Microsoft.Extensions.Logging;

namespace Orleans.Runtime;

/// <summary>
/// One living instance of a grain: its queue of work, and who may run beside whom. What happens at either end of its life is in
/// <c>Activation.Lifecycle.cs</c>.
/// </summary>
internal sealed partial class Activation : IGrainContext
{
    private readonly Lock _gate = new();
    private readonly LinkedList<ActivationWork> _waiting = new();
    private readonly List<ActivationWork> _running = [];
    private readonly Dictionary<Guid, int> _reentrantSections = [];
    private readonly ActivationScheduler _scheduler;
    private readonly ILogger _logger;
    private ActivationState _state = ActivationState.Activating;

    // How many of the waiting could run beside a running one. Mostly none, and then a long queue need not be walked at each turn.
    private int _waitingThatMayPass;

    // The running work that others must be compatible with; null while only interleaving work runs.
    private ActivationWork? _blocking;

    public Activation(Silo silo, GrainTarget target)
    {
        Silo = silo;
        Target = target;
        _logger = silo.Logger;
        _scheduler = new ActivationScheduler(this);
        _lastUsed = silo.Time.GetTimestamp();
    }

    private enum ActivationState
    {
        Activating,
        Valid,
        Deactivating,
        Ended,
    }

    public Silo Silo { get; }

    public GrainTarget Target { get; }

    public GrainId GrainId => Target.Id;

    public object? GrainInstance { get; private set; }

    /// <summary>False when this activation has ended and the work belongs to another.</summary>
    public bool TryEnqueue(ActivationWork work)
    {
        lock (_gate)
        {
            if (_state == ActivationState.Ended)
                return false;
            if (work.CountsAsUse)
                _lastUsed = Silo.Time.GetTimestamp();
            if (MayStart && MayRun(work))
                Start(work);
            else
                Wait(work);
            return true;
        }
    }

    public void EnterReentrantSection(Guid id)
    {
        lock (_gate)
        {
            _reentrantSections[id] = _reentrantSections.GetValueOrDefault(id) + 1;
            StartWhatMayRun();
        }
    }

    public void LeaveReentrantSection(Guid id)
    {
        lock (_gate)
        {
            if (!_reentrantSections.TryGetValue(id, out var depth))
                return;
            if (depth == 1)
                _reentrantSections.Remove(id);
            else
                _reentrantSections[id] = depth - 1;
        }
    }

    /// <summary>Runs a turn that is nobody's request, such as the cancellation of a token that a request holds.</summary>
    public void Post(Action turn) => _scheduler.Post(() =>
    {
        try
        {
            turn();
        }
        catch (Exception exception)
        {
            LogTurnFailed(_logger, exception, GrainId);
        }

        return Task.CompletedTask;
    });

    public override string ToString() => GrainId.ToString();

    private bool MayStart => _state == ActivationState.Valid && _deactivation is null;

    private bool MayRun(ActivationWork work) =>
        _blocking is null
        || work.AlwaysInterleave
        || Target.Class.Reentrant
        || (work.ReadOnly && _blocking.ReadOnly)
        || (_reentrantSections.Count > 0 && work.ReentrancyId != Guid.Empty && _reentrantSections.ContainsKey(work.ReentrancyId));

    private void Wait(ActivationWork work)
    {
        _waiting.AddLast(work);
        if (MayPass(work))
            _waitingThatMayPass++;
    }

    private static bool MayPass(ActivationWork work) => work.AlwaysInterleave || work.ReadOnly || work.ReentrancyId != Guid.Empty;

    // In order of arrival; what cannot run now is passed over, and stays before what arrived after it.
    private void StartWhatMayRun()
    {
        if (!MayStart)
            return;
        for (var node = _waiting.First; node is not null && (_blocking is null || _waitingThatMayPass > 0 || Target.Class.Reentrant);)
        {
            var (work, next) = (node.Value, node.Next);
            if (work.IsAbandoned || MayRun(work))
            {
                _waiting.Remove(node);
                if (MayPass(work))
                    _waitingThatMayPass--;
                if (!work.IsAbandoned)
                    Start(work);
            }

            node = next;
        }
    }

    private void Start(ActivationWork work)
    {
        _running.Add(work);
        if (!work.AlwaysInterleave)
            _blocking ??= work;
        _scheduler.Post(() => RunAsync(work));
    }

    private async Task RunAsync(ActivationWork work)
    {
        try
        {
            await work.RunAsync(this);
        }
        catch (Exception exception)
        {
            // Work reports its own failures: this is one of the runtime's or of a converter's, and must not leave the grain blocked.
            LogTurnFailed(_logger, exception, GrainId);
            work.Reject(exception);
        }

        lock (_gate)
        {
            _running.Remove(work);
            if (ReferenceEquals(_blocking, work))
                _blocking = null;
            if (work.CountsAsUse)
                _lastUsed = Silo.Time.GetTimestamp();
            StartWhatMayRun();
            DeactivateIfDrained();
        }
    }
}
