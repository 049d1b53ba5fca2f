using System.Diagnostics;
using Cluster.Placement;
using Cluster.Placement.Forecasts;
using Cluster.Placement.Running;

namespace Cluster.Bench.Placement;

/// <summary>Expected starts of a trace's jobs, held against what came true.</summary>
internal sealed class TraceForecasts(VirtualCluster cluster, Trace trace)
{
    // A forecast costs what waits: so not every job is asked, but one in so many, whichever queue and size they have.
    public const int Every = 40;

    private static readonly TimeSpan BetweenPolls = TimeSpan.FromMinutes(30);

    private readonly List<Asked> _submitted = [];
    private readonly List<Asked> _polled = [];
    private readonly List<Asked> _atTheLast = [];
    private readonly Stopwatch _forecasting = new();
    private readonly Calibration _calibration = new();

    // What each that waits was told first.
    private readonly Dictionary<JobKey, JobForecast> _first = [];
    private int _forecasts;
    private DateTimeOffset _nextPoll = DateTimeOffset.UnixEpoch + BetweenPolls;
    private int _next;

    /// <summary>Each asked once, in the cycle after it was submitted, as a person would who looks then.</summary>
    public Accuracy AtSubmit => Accuracy.Of(_submitted, cluster);

    /// <summary>Of these, those that did not start in that cycle.</summary>
    public Accuracy OfThoseThatWaited => Accuracy.Of(_submitted.Where(asked => Actual(asked) > asked.At), cluster);

    /// <summary>All that wait, each half hour: who waits for ten hours is asked twenty times.</summary>
    public Accuracy WhileWaiting => Accuracy.Of(_polled, cluster);

    /// <summary>The same, by how much of its wait a job has behind it.</summary>
    public IEnumerable<Accuracy> ByQuarter =>
        Enumerable.Range(0, 4).Select(quarter => Accuracy.Of(_polled.Where(asked => QuarterOf(asked) == quarter), cluster));

    /// <summary>The last one before the start, of those that were asked while they waited.</summary>
    public Accuracy TheLast => Accuracy.Of(_polled.GroupBy(asked => asked.Job).Select(same => same.Last()), cluster);

    /// <summary>All that wait when the last job has come, told that no more come: nothing is unknown of arrivals then.</summary>
    public Accuracy AtTheLast => Accuracy.Of(_atTheLast, cluster);

    /// <summary>What a forecast takes.</summary>
    public TimeSpan Mean => _forecasting.Elapsed / Math.Max(1, _forecasts);

    /// <summary>After each cycle.</summary>
    public void Ask()
    {
        var asked = new HashSet<JobKey>();
        for (; _next < trace.Jobs.Count && trace.Jobs[_next].At <= cluster.Now; _next++)
        {
            if (_next % Every == 0)
                asked.Add(trace.Jobs[_next].Job.Terms.Id);
        }

        var started = asked.Where(job => cluster.Lives[job].FirstStart is not null).ToList();
        _submitted.AddRange(started.Select(job => new Asked(cluster.Now, job, new Estimate(cluster.Now, cluster.Now))));
        asked.ExceptWith(started);
        var polls = cluster.Now >= _nextPoll && cluster.Now <= trace.Jobs[^1].At;
        if (asked.Count > 0 || polls)
        {
            var starts = Starts(cluster.Arrivals);
            _submitted.AddRange(asked.Select(job => new Asked(cluster.Now, job, starts.GetValueOrDefault(job))));
            if (polls)
                AskAllThatWait(_polled, starts);
        }

        if (polls)
            _nextPoll = cluster.Now + BetweenPolls;
        if (_next == trace.Jobs.Count && _atTheLast.Count == 0)
            AskAllThatWait(_atTheLast, Starts(null));
    }

    private Dictionary<JobKey, Estimate> Starts(Arrivals? arrivals)
    {
        foreach (var first in _first.Values.Where(first => cluster.Lives[first.Job].FirstStart is not null).ToList())
        {
            _calibration.Note(first, cluster.Lives[first.Job].FirstStart!.Value);
            _first.Remove(first.Job);
        }

        var plan = cluster.State.Decide(cluster.Now, cluster.Policy);
        _forecasts++;
        _forecasting.Start();
        var forecast = cluster.State.PrepareForecast(plan, cluster.Now, cluster.Policy, arrivals, cluster.Endings, _calibration).Run();
        _forecasting.Stop();
        foreach (var job in forecast.Jobs.Where(job => cluster.Lives[job.Job].FirstStart is null))
            _first.TryAdd(job.Job, job);
        return forecast.Jobs.ToDictionary(job => job.Job, job => job.Start);
    }

    private void AskAllThatWait(List<Asked> asked, Dictionary<JobKey, Estimate> starts) =>
        asked.AddRange(cluster.Lives.Values.Where(life => life.FirstStart is null)
            .Select(life => new Asked(cluster.Now, life.Job.Terms.Id, starts.GetValueOrDefault(life.Job.Terms.Id))));

    private int QuarterOf(Asked asked)
    {
        var submitted = cluster.Lives[asked.Job].Submitted;
        return Math.Min(3, (int)(4 * ((asked.At - submitted) / (Actual(asked) - submitted))));
    }

    private DateTimeOffset Actual(Asked asked) => cluster.Lives[asked.Job].FirstStart!.Value;
}

/// <param name="Start">Null: not settled, which is held to be wrong.</param>
internal sealed record Asked(DateTimeOffset At, JobKey Job, Estimate? Start);

/// <param name="Close">Within a minute or a tenth of the wait that was left, as a share of all.</param>
/// <param name="InTen">Within ten minutes.</param>
/// <param name="ByLikely">Had started by the time that is said of half.</param>
/// <param name="ByLate">By the time that is said of nine tenths.</param>
internal sealed record Accuracy(int Count, int NotSettled, double Close, double InTen, double ByLikely, double ByLate)
{
    public static Accuracy Of(IEnumerable<Asked> those, VirtualCluster cluster)
    {
        var all = those.Select(asked => (asked.At, asked.Start, Actual: cluster.Lives[asked.Job].FirstStart!.Value)).ToList();
        double Share(Func<DateTimeOffset, Estimate, DateTimeOffset, bool> holds) =>
            all.Count(each => each.Start is { } start && holds(each.At, start, each.Actual)) / (double)all.Count;
        return new Accuracy(
            all.Count, all.Count(each => each.Start is null),
            Share((at, start, actual) => Error(start, actual) <= Math.Max(1, (actual - at).TotalMinutes / 10)),
            Share((_, start, actual) => Error(start, actual) <= 10),
            Share((_, start, actual) => actual <= start.Likely), Share((_, start, actual) => actual <= start.Late));
    }

    public override string ToString() =>
        $"{Count} ({NotSettled} not settled): within 1 min or 10 % of the wait {Close:P1}, within 10 min {InTen:P1}; by the time that "
        + $"is said of 50 % {ByLikely:P1}, of 90 % {ByLate:P1}";

    private static double Error(Estimate start, DateTimeOffset actual) => (actual - start.Likely).Duration().TotalMinutes;
}
