using Cluster.Placement;
using Cluster.Placement.Forecasts;
using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Placement;

/// <summary>Reckons now and then when waiting jobs start, writes it for people, and compares what it said with what came true.</summary>
/// <param name="since">From when on it is told of all that becomes of jobs.</param>
internal sealed class ExpectedStarts(ExpectedStartStore store, DateTimeOffset since)
{
    // Of a long line only so many are told: who is at its end wants to know that it is long.
    private const int Told = 1000;

    // What was said first to each job that waits.
    private readonly Dictionary<JobKey, JobForecast> _first = [];
    private DateTimeOffset _reckonedAt;
    private bool _any = true;

    // What has been submitted and has ended since.
    private readonly Arrivals _arrivals = new(since);
    private readonly Endings _endings = new();
    private readonly Calibration _calibration = new();

    /// <summary>When those start that the plan leaves waiting; to be reckoned on another thread.</summary>
    public PendingForecast Prepare(ClusterState state, PlacementPlan plan, DateTimeOffset now, PlacementPolicy policy) =>
        state.PrepareForecast(plan, now, policy, _arrivals, _endings, _calibration);

    /// <summary>Whether to reckon anew.</summary>
    /// <param name="interval">So long ago the last time must be.</param>
    public bool IsDue(ClusterState state, DateTimeOffset now, TimeSpan interval) =>
        now - _reckonedAt >= interval && (state.Waiting > 0 || _any);

    /// <summary>Reckons anew; the state may change meanwhile.</summary>
    public async Task TellAsync(ClusterState state, DateTimeOffset now, PlacementPolicy policy)
    {
        _reckonedAt = now;
        var forecast = await Task.Run(Prepare(state, state.Decide(now, policy), now, policy).Run);
        var jobs = forecast.Jobs.Where(job => state.ShapeOf(job.Job) is not null).Take(Told).ToList();
        await store.WriteAsync(jobs, now, CancellationToken.None);
        _any = jobs.Count > 0;
        // Of which it was not told what has become of them, since all was read anew.
        foreach (var gone in _first.Keys.Where(job => state.ShapeOf(job) is null).ToList())
            _first.Remove(gone);
        foreach (var job in jobs)
            _first.TryAdd(job.Job, job);
    }

    /// <summary>Takes note of what has become of a job, before the state does.</summary>
    public void Apply(ClusterChange change, ClusterState state, DateTimeOffset now)
    {
        _arrivals.Apply(change);
        _endings.Apply(change, state, now);
        switch (change)
        {
            case ClusterChange.JobGranted { Facts: { } facts } granted when _first.Remove(granted.Job, out var first):
                var queue = new KeyValuePair<string, object?>("queue", facts.Queue.Name);
                SchedulerTelemetry.StartError.Record((facts.StartedAt - first.Start.Likely).Duration().TotalSeconds, queue);
                SchedulerTelemetry.ExpectedStarts.Add(
                    1, queue, new KeyValuePair<string, object?>("in_time", facts.StartedAt <= first.Start.Late));
                _calibration.Note(first, facts.StartedAt);
                break;
            case ClusterChange.JobEnded ended:
                _first.Remove(ended.Job);
                break;
        }
    }
}
