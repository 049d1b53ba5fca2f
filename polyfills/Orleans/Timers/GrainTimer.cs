using Microsoft.Extensions.Logging;

namespace Orleans.Runtime;

/// <summary>Fires ticks into its activation's queue, where they take their turn like requests.</summary>
internal sealed partial class GrainTimer : IGrainTimer
{
    // What System.Threading.Timer takes.
    private const long MaxMilliseconds = 0xfffffffe;

    private readonly Activation _activation;
    private readonly Func<CancellationToken, Task> _callback;
    private readonly GrainTimerCreationOptions _options;
    private readonly CancellationTokenSource _disposal = new();
    private readonly ITimer _timer;
    private readonly Tick _tick;
    private TimeSpan _period;

    // From the moment the clock fires until the callback ends; a change in between is applied at the end.
    private volatile bool _firing;
    private TimeSpan? _changedDueTime;

    public GrainTimer(Activation activation, Func<CancellationToken, Task> callback, GrainTimerCreationOptions options)
    {
        Check(options.DueTime, nameof(options.DueTime));
        Check(options.Period, nameof(options.Period));
        _activation = activation;
        _callback = callback;
        _options = options;
        _period = options.Period;
        _tick = new Tick(this);
        using var noFlow = ActivationScheduler.SuppressFlow();
        _timer = activation.Silo.Time.CreateTimer(
            static timer => ((GrainTimer)timer!).Fire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Start(TimeSpan dueTime) => _timer.Change(dueTime, Timeout.InfiniteTimeSpan);

    public void Change(TimeSpan dueTime, TimeSpan period)
    {
        Check(dueTime, nameof(dueTime));
        Check(period, nameof(period));
        _period = period;
        if (_firing)
            _changedDueTime = dueTime;
        else
            _timer.Change(dueTime, Timeout.InfiniteTimeSpan);
    }

    public void Dispose()
    {
        if (_disposal.IsCancellationRequested)
            return;
        _timer.Dispose();
        _activation.RemoveTimer(this);
        try
        {
            _disposal.Cancel();
        }
        catch (AggregateException exception)
        {
            LogCancellationFailed(_activation.Silo.Logger, exception, _activation.GrainId);
        }
    }

    private static void Check(TimeSpan time, string name)
    {
        var milliseconds = (long)time.TotalMilliseconds;
        ArgumentOutOfRangeException.ThrowIfLessThan(milliseconds, -1, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(milliseconds, MaxMilliseconds, name);
    }

    private void Fire()
    {
        _firing = true;
        _activation.TryEnqueue(_tick);
    }

    private async Task RunTickAsync()
    {
        try
        {
            await _callback(_disposal.Token);
        }
        catch (OperationCanceledException) when (_disposal.IsCancellationRequested)
        {
            // Disposed in the middle of a tick, which is how a callback is told to end.
        }
        catch (Exception exception)
        {
            LogCallbackFailed(_activation.Silo.Logger, exception, _activation.GrainId);
        }
        finally
        {
            var next = _changedDueTime ?? _period;
            _changedDueTime = null;
            _firing = false;
            if (!_disposal.IsCancellationRequested)
                _timer.Change(next, Timeout.InfiniteTimeSpan);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A timer of grain {GrainId} threw; the timer goes on.")]
    private static partial void LogCallbackFailed(ILogger logger, Exception exception, GrainId grainId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Cancelling a timer's callback in grain {GrainId} threw.")]
    private static partial void LogCancellationFailed(ILogger logger, Exception exception, GrainId grainId);

    private sealed class Tick(GrainTimer timer) : ActivationWork
    {
        public override bool AlwaysInterleave => timer._options.Interleave;

        public override bool CountsAsUse => timer._options.KeepAlive;

        public override bool IsAbandoned => timer._disposal.IsCancellationRequested;

        public override Task RunAsync(Activation activation) => timer.RunTickAsync();

        // A tick ends with its activation.
        public override void Reject(Exception exception)
        {
        }

        public override void Reroute()
        {
        }
    }
}
