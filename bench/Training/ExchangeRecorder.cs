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
    private readonly MeterListener listener = new();
    private readonly Lock gate = new();
    private readonly List<(double Began, double Ended)> gradients = []; // in seconds of the stopwatch
    private double statistics;
    private int trainingThread;

    public ExchangeRecorder()
    {
        listener.InstrumentPublished = (instrument, itself) =>
        {
            if (instrument.Name == "collective.operation.duration")
                itself.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((_, seconds, _, _) => Record(seconds));
        listener.Start();
    }

    /// <summary>A step begins, on this thread.</summary>
    public void Begin()
    {
        lock (gate)
        {
            gradients.Clear();
            (statistics, trainingThread) = (0, Environment.CurrentManagedThreadId);
        }
    }

    /// <summary>Its gradients are there.</summary>
    /// <param name="times">As the step tells them: what of communication is not statistics is the wait after backward.</param>
    public ExchangeProfile End(StepTimes times)
    {
        lock (gate)
        {
            var backwardEnded = Now() - Math.Max(0, times.Communication.TotalSeconds - statistics);
            return new ExchangeProfile(
                times.Backward.TotalSeconds,
                gradients.Sum(one => one.Ended - one.Began),
                gradients.Sum(one => Math.Max(0, Math.Min(one.Ended, backwardEnded) - one.Began)),
                gradients.Count == 0 ? 0 : gradients.Count(one => one.Began < backwardEnded) / (double)gradients.Count,
                statistics);
        }
    }

    public void Dispose() => listener.Dispose();

    private void Record(double seconds)
    {
        var ended = Now();
        lock (gate)
        {
            if (Environment.CurrentManagedThreadId == trainingThread)
                statistics += seconds;
            else
                gradients.Add((ended - seconds, ended));
        }
    }

    private static double Now() => Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;
}
