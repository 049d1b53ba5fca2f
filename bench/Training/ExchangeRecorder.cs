using System.Diagnostics;
using System.Diagnostics.Metrics;
using Cluster.Worker.Parallel;

namespace Cluster.Bench.Training;

/// <summary>
/// Hears of every exchange of this process when it is over. Gradients travel on the group's own thread, and everything else on the
/// thread that trains.
/// </summary>
internal sealed class ExchangeRecorder : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Lock _gate = new();
    private readonly List<(double Began, double Ended)> _gradients = []; // in seconds of the stopwatch
    private double _statistics;
    private int _trainingThread;

    public ExchangeRecorder()
    {
        _listener.InstrumentPublished = (instrument, itself) =>
        {
            if (instrument.Name == "collective.operation.duration")
                itself.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((_, seconds, _, _) => Record(seconds));
        _listener.Start();
    }

    /// <summary>A step begins, on this thread.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _gradients.Clear();
            (_statistics, _trainingThread) = (0, Environment.CurrentManagedThreadId);
        }
    }

    /// <summary>Its gradients are there.</summary>
    /// <param name="times">As the step tells them: what of communication is not statistics is the wait after backward.</param>
    public ExchangeProfile End(StepTimes times)
    {
        lock (_gate)
        {
            var backwardEnded = Now() - Math.Max(0, times.Communication.TotalSeconds - _statistics);
            return new ExchangeProfile(
                times.Backward.TotalSeconds,
                _gradients.Sum(one => one.Ended - one.Began),
                _gradients.Sum(one => Math.Max(0, Math.Min(one.Ended, backwardEnded) - one.Began)),
                _gradients.Count == 0 ? 0 : _gradients.Count(one => one.Began < backwardEnded) / (double)_gradients.Count,
                _statistics);
        }
    }

    public void Dispose() => _listener.Dispose();

    private void Record(double seconds)
    {
        var ended = Now();
        lock (_gate)
        {
            if (Environment.CurrentManagedThreadId == _trainingThread)
                _statistics += seconds;
            else
                _gradients.Add((ended - seconds, ended));
        }
    }

    private static double Now() => Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;
}
