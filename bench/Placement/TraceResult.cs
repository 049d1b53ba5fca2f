using System.Diagnostics;
using Cluster.Placement.Forecasts;

namespace Cluster.Bench.Placement;

/// <summary>What has become of a trace under a rule.</summary>
internal sealed class TraceResult
{
    private static readonly TimeSpan BetweenForecasts = TimeSpan.FromMinutes(30);

    private readonly List<(DateTimeOffset At, JobForecast Job)> _forecasts = [];
    private readonly VirtualCluster _cluster;
    private readonly int _devices;
    private readonly DateTimeOffset _lastArrival;
    private double _seconds;
    private int _starts;

    private TraceResult(VirtualCluster cluster, Trace trace) =>
        (_cluster, _devices, _lastArrival) = (cluster, trace.Nodes * Trace.GpusPerNode, trace.Jobs[^1].At);

    /// <param name="forecasts">Whether it is asked when jobs start, every half hour.</param>
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

    public TimeSpan WaitAt(double quantile, int fewest, int most)
    {
        var those = Lives.Where(life => life.Job.Terms.Need.Devices >= fewest && life.Job.Terms.Need.Devices <= most);
        var waits = those.Select(life => life.Wait).Order().ToList();
        return waits[(int)Math.Min(waits.Count - 1, waits.Count * quantile)];
    }

    /// <summary>Of the expected starts: how many, within a minute or a tenth of the wait, within ten minutes, and not late.</summary>
    public (int Count, double Close, double InTenMinutes, double Covered) Forecasts()
    {
        var known = _forecasts.Select(each => (each.At, each.Job.Start, Actual: _cluster.Lives[each.Job.Job].FirstStart!.Value)).ToList();
        double Share(Func<(DateTimeOffset At, Cluster.Placement.Running.Estimate Start, DateTimeOffset Actual), bool> holds) =>
            known.Count(holds) / (double)known.Count;
        return (known.Count,
            Share(k => (k.Actual - k.Start.Likely).Duration() <= Longer(TimeSpan.FromMinutes(1), (k.Actual - k.At) * 0.1)),
            Share(k => (k.Actual - k.Start.Likely).Duration() <= TimeSpan.FromMinutes(10)), Share(k => k.Actual <= k.Start.Late));
    }

    private IEnumerable<Life> Lives => _cluster.Lives.Values;

    private static TimeSpan Longer(TimeSpan x, TimeSpan y) => x > y ? x : y;

    private void Play(bool forecasts)
    {
        var (next, before, watch) = (DateTimeOffset.UnixEpoch + BetweenForecasts, DateTimeOffset.UnixEpoch, new Stopwatch());
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
            if (!forecasts || _cluster.Now < next || _cluster.Now > _lastArrival)
                continue;
            next = _cluster.Now + BetweenForecasts;
            var decided = _cluster.State.Decide(_cluster.Now, _cluster.Policy);
            _forecasts.AddRange(_cluster.State.Forecast(decided, _cluster.Now, _cluster.Policy).Jobs
                .Where(job => _cluster.Lives[job.Job].FirstStart is null).Select(job => (_cluster.Now, job)));
        }

        _seconds = watch.Elapsed.TotalSeconds;
        Utilisation = busy / ((_lastArrival - DateTimeOffset.UnixEpoch) * _devices);
        if (Lives.Any(life => life.EndedAt is null))
            throw new InvalidOperationException($"{Lives.Count(life => life.EndedAt is null)} jobs never ended");
    }
}
