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
    private readonly Dictionary<JobKey, Estimated> _first = [];
    private DateTimeOffset _reckonedAt;
    private bool _any = true;

    // What has been submitted and has ended since.
    private readonly Arrivals _arrivals = new(since);
    private readonly Endings _endings = new();

    /// <summary>When those start that the plan leaves waiting.</summary>
    public Forecast Reckon(ClusterState state, PlacementPlan plan, DateTimeOffset now, PlacementPolicy policy) =>
        state.Forecast(plan, now, policy, _arrivals, _endings);

    /// <summary>Reckons anew, if the last time is long enough ago.</summary>
    /// <param name="interval">How long that is.</param>
    public async Task TellAsync(ClusterState state, PlacementPlan plan, DateTimeOffset now, TimeSpan interval, PlacementPolicy policy)
    {
        if (now - _reckonedAt < interval || (state.Waiting == 0 && !_any))
            return;
        var jobs = Reckon(state, plan, now, policy).Jobs.Take(Told).ToList();
        await store.WriteAsync(jobs, now, CancellationToken.None);
        (_reckonedAt, _any) = (now, jobs.Count > 0);
        // Of which it was not told what has become of them, since all was read anew.
        foreach (var gone in _first.Keys.Where(job => state.ShapeOf(job) is null).ToList())
            _first.Remove(gone);
        foreach (var job in jobs)
            _first.TryAdd(job.Job, new Estimated(job.Start.Likely, job.Start.Late));
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
                SchedulerTelemetry.StartError.Record((facts.StartedAt - first.Likely).Duration().TotalSeconds, queue);
                SchedulerTelemetry.ExpectedStarts.Add(
                    1, queue, new KeyValuePair<string, object?>("in_time", facts.StartedAt <= first.Late));
                break;
            case ClusterChange.JobEnded ended:
                _first.Remove(ended.Job);
                break;
        }
    }

    private sealed record Estimated(DateTimeOffset Likely, DateTimeOffset Late);
}
