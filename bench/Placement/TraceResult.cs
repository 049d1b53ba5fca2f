using System.Diagnostics;
using Cluster.Placement;

namespace Cluster.Bench.Placement;

/// <summary>What has become of a trace under a rule.</summary>
internal sealed class TraceResult
{
    private readonly VirtualCluster _cluster;
    private readonly int _devices;
    private readonly DateTimeOffset _lastArrival;
    private double _seconds;
    private int _starts;

    private TraceResult(VirtualCluster cluster, Trace trace)
    {
        (_cluster, _devices, _lastArrival) = (cluster, trace.Nodes * Trace.GpusPerNode, trace.Jobs[^1].At);
        Forecasts = new TraceForecasts(cluster, trace);
    }

    /// <param name="forecasts">Whether it is asked when jobs start.</param>
    public static TraceResult Play(Trace trace, TraceRule rule, bool forecasts)
    {
        var result = new TraceResult(rule.Build(trace), trace);
        result.Play(forecasts);
        return result;
    }

    /// <summary>Device time that jobs had, until the last one came, of all that there was.</summary>
    public double Utilisation { get; private set; }

    public double StartsPerSecond => _starts / _seconds;

    public double LostDeviceHours => Lives.Sum(life => life.LostDeviceTime.TotalHours);

    public int Yields => Lives.Sum(life => life.Yields);

    public TimeSpan MeanWait => TimeSpan.FromSeconds(Lives.Average(life => life.Wait.TotalSeconds));

    /// <summary>Of the parts of their time in the cluster that queues' jobs ran: 1 if all are equal.</summary>
    public double Jain()
    {
        var parts = Lives.GroupBy(life => life.Job.Terms.Queue).Select(same => same.Average(
            life => life.Used / life.Job.Terms.Need.Devices / (life.EndedAt!.Value - life.Submitted))).ToList();
        return Math.Pow(parts.Sum(), 2) / (parts.Count * parts.Sum(part => part * part));
    }

    public TimeSpan WaitAt(double quantile, int fewest, int most) => WaitAt(quantile, fewest, most, _ => true);

    /// <param name="of">Of jobs of these queues.</param>
    public TimeSpan WaitAt(double quantile, int fewest, int most, Func<QueueKey, bool> of)
    {
        var those = Lives.Where(
            life => life.Job.Terms.Need.Devices >= fewest && life.Job.Terms.Need.Devices <= most && of(life.Job.Terms.Queue));
        var waits = those.Select(life => life.Wait).Order().ToList();
        return waits[(int)Math.Min(waits.Count - 1, waits.Count * quantile)];
    }

    public TraceForecasts Forecasts { get; }

    private IEnumerable<Life> Lives => _cluster.Lives.Values;

    private void Play(bool forecasts)
    {
        var (before, watch) = (DateTimeOffset.UnixEpoch, new Stopwatch());
        var (busy, held) = (TimeSpan.Zero, 0);
        while (true)
        {
            watch.Start();
            var plan = _cluster.Step();
            watch.Stop();
            if (plan is null)
                break;
            _starts += plan.Starts.Length;
            var until = _cluster.Now < _lastArrival ? _cluster.Now : _lastArrival;
            busy += until > before ? (until - before) * held : TimeSpan.Zero;
            (before, held) = (_cluster.Now, _cluster.Held);
            if (forecasts)
                Forecasts.Ask();
        }

        _seconds = watch.Elapsed.TotalSeconds;
        Utilisation = busy / ((_lastArrival - DateTimeOffset.UnixEpoch) * _devices);
        if (Lives.Any(life => life.EndedAt is null))
            throw new InvalidOperationException($"{Lives.Count(life => life.EndedAt is null)} jobs never ended");
    }
}
