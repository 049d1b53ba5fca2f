namespace Orleans.Runtime;

/// <summary>
/// One call of a grain, from the caller's task to the callee's turn and back. Arguments and results are copied on the way, so that the two
/// sides share nothing.
/// </summary>
internal sealed class GrainRequest<TResult> : ActivationWork
{
    private readonly Silo _silo;
    private readonly GrainTarget _target;
    private readonly GrainMethod<TResult> _method;
    private readonly object?[] _arguments;
    private readonly Dictionary<string, object>? _requestContext;
    private readonly GrainId? _caller;
    private readonly TaskCompletionSource<TResult> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource? _calleeCancellation;
    private CancellationTokenRegistration _callerCancellation;
    private ITimer? _timeout;
    private volatile Activation? _runsIn;
    private volatile bool _cancelled;

    private GrainRequest(Silo silo, GrainTarget target, GrainMethod<TResult> method, object?[] arguments)
    {
        _silo = silo;
        _target = target;
        _method = method;
        _arguments = silo.Copier.CopyArguments(method, arguments);
        _requestContext = silo.Copier.CopyRequestContext(RequestContext.Values.Value);
        _caller = RuntimeContext.Current?.GrainId;
    }

    public override bool AlwaysInterleave => _method.AlwaysInterleave;

    public override bool ReadOnly => _method.ReadOnly;

    public override Guid ReentrancyId => RequestContext.ReentrancyIdOf(_requestContext);

    private TimeSpan ResponseTimeout => _method.ResponseTimeout ?? _silo.Messaging.ResponseTimeout;

    public override bool IsAbandoned => !_method.OneWay && _answer.Task.IsCompleted;

    /// <summary>The answer, or a failed task: sending itself never throws.</summary>
    public static Task<TResult> Send(Silo silo, GrainTarget target, GrainMethod<TResult> method, object?[] arguments)
    {
        GrainRequest<TResult> request;
        var token = method.CancellationTokenIndex is >= 0 and var index ? (CancellationToken)arguments[index]! : default;
        if (token.IsCancellationRequested)
            return Task.FromCanceled<TResult>(token);
        try
        {
            request = new GrainRequest<TResult>(silo, target, method, arguments);
        }
        catch (Exception exception)
        {
            return Task.FromException<TResult>(exception);
        }

        if (method.OneWay)
        {
            silo.Dispatch(target, request, request._requestContext);
            return Task.FromResult<TResult>(default!);
        }

        request.StartClock(token);
        silo.Dispatch(target, request, request._requestContext);
        return request._answer.Task;
    }

    public override async Task RunAsync(Activation activation)
    {
        _runsIn = activation;
        Interlocked.MemoryBarrier();
        if (_cancelled)
            activation.Post(_calleeCancellation!.Cancel);
        RequestContext.Values.Value = _requestContext;
        using var span = _silo.Tracing ? CallTracing.StartServerSpan(_method, _target.Id, _caller) : null;
        try
        {
            var task = _method.Invoke(activation.GrainInstance!, _arguments);
            await task;
            var result = _silo.Copier.CopyResult(_method, GrainMethod<TResult>.Result(task));
            Settle(_answer.TrySetResult(result));
        }
        catch (Exception exception)
        {
            CallTracing.MarkFailed(span, exception);
            if (_method.OneWay)
                _silo.LogOneWayFailed(exception, _method.Name, _target.Id);
            Settle(_answer.TrySetException(_silo.Copier.CopyException(exception)));
        }
    }

    public override void Reject(Exception exception) => Settle(_answer.TrySetException(exception));

    public override void Reroute() => _silo.Dispatch(_target, this, _requestContext);

    private void StartClock(CancellationToken callerToken)
    {
        using var noFlow = ActivationScheduler.SuppressFlow();
        var timeout = ResponseTimeout;
        if (timeout != Timeout.InfiniteTimeSpan)
            _timeout = _silo.Time.CreateTimer(static request => ((GrainRequest<TResult>)request!).TimeOut(), this, timeout, Timeout.InfiniteTimeSpan);
        if (!callerToken.CanBeCanceled)
            return;
        // The callee gets a token of its own: between machines it could not be the caller's either.
        _calleeCancellation = new CancellationTokenSource();
        _arguments[_method.CancellationTokenIndex] = _calleeCancellation.Token;
        _callerCancellation = callerToken.UnsafeRegister(static (request, token) => ((GrainRequest<TResult>)request!).Cancel(token), this);
    }

    // The caller stops waiting at once; the callee learns of it in a turn of its own.
    private void Cancel(CancellationToken callerToken)
    {
        Settle(_answer.TrySetCanceled(callerToken));
        _cancelled = true;
        Interlocked.MemoryBarrier(); // Pairs with the one in RunAsync: one of the two sides sees the other's write.
        _runsIn?.Post(_calleeCancellation!.Cancel);
    }

    private void TimeOut()
    {
        var timeout = ResponseTimeout;
        var state = _runsIn is null ? "it was still waiting for its turn" : "it was still running";
        var from = _caller is { } caller ? $", called by {caller}" : "";
        var exception = new TimeoutException(
            $"Response did not arrive on time in {timeout} for message: {_method.Name} on {_target.Id}{from}; {state}.");
        if (!_answer.TrySetException(exception))
            return;
        _silo.LogTimedOut(timeout, _method.Name, _target.Id, _caller, state);
        Settle(true);
    }

    private void Settle(bool now)
    {
        if (!now)
            return;
        _timeout?.Dispose();
        _callerCancellation.Unregister();
    }
}
