using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Placement;

/// <inheritdoc cref="IPlacementGrain"/>
/// <remarks>
/// It keeps the state of the cluster in memory and reads what has changed since. Everything is read when it begins, after a fault, and
/// when another activation has been told of changes instead.
/// </remarks>
internal sealed partial class PlacementGrain(
    PlacementStore store, JobFeed feed, IOptions<PlacementOptions> options, TimeProvider time, ILogger<PlacementGrain> logger)
    : Grain, IPlacementGrain
{
    // Each start is some round trips to the store; more at once would take connections from others.
    private const int StartsAtOnce = 16;

    private ClusterState? _state;
    private Guid _keeper;

    // What is written of why jobs wait; null where that is not known.
    private Dictionary<(QueueKey Queue, string Shape), WaitReason>? _told;

    /// <inheritdoc/>
    public async Task<ImmutableArray<JobId>> RunCycleAsync()
    {
        try
        {
            var (state, changed) = await ReadAsync();
            var plan = state.Decide(time.GetUtcNow(), new PlacementPolicy(options.Value.LongestHold));
            var started = await StartAsync(plan.Starts);
            await TellAsync(plan, state, changed);
            return started;
        }
        catch
        {
            _state = null;
            throw;
        }
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        QueueGauge.Clear();
        return Task.CompletedTask;
    }

    /// <returns>The state as it is now, and the jobs of which something has become.</returns>
    private async Task<(ClusterState State, HashSet<JobKey> Changed)> ReadAsync()
    {
        var next = Guid.NewGuid();
        if (_state is not { } state || await store.ChangesAsync(_keeper, next, CancellationToken.None) is not { } changes)
        {
            _told = null;
            changes = await store.TakeOverAsync(next, CancellationToken.None);
            state = new ClusterState();
        }

        changes.ForEach(state.Apply);
        (_state, _keeper) = (state, next);
        return (state, [.. changes.OfType<ClusterChange.JobQueued>().Select(change => change.Job.Id)]);
    }

    private async Task<ImmutableArray<JobId>> StartAsync(ImmutableArray<JobStart> starts)
    {
        var started = ImmutableArray.CreateBuilder<JobId>();
        foreach (var some in starts.Chunk(StartsAtOnce))
            started.AddRange((await Task.WhenAll(some.Select(TryStartAsync))).OfType<JobId>());
        return started.DrainToImmutable();
    }

    /// <summary>A fault of one job is its own: the others start all the same.</summary>
    /// <returns>The job, if it starts.</returns>
    private async Task<JobId?> TryStartAsync(JobStart start)
    {
        var job = new JobId(start.Job.Value);
        try
        {
            return await GrainFactory.GetGrain<IJobGrain>(job.Value).StartAsync(StartAttempt.Of(start)) ? job : null;
        }
        catch (Exception fault)
        {
            // Its devices stay free, and the next cycle is told what has become of it.
            LogNotStarted(fault, job);
            return null;
        }
    }

    /// <summary>Writes what has changed of why jobs wait, and wakes who watches those.</summary>
    private async Task TellAsync(PlacementPlan plan, ClusterState state, HashSet<JobKey> changed)
    {
        var now = plan.Waiting.ToDictionary(w => (w.Queue, w.Shape), w => w.Reason);
        var others = plan.Waiting.Where(w => _told?.GetValueOrDefault((w.Queue, w.Shape)) != w.Reason).ToList();
        var gone = _told?.Keys.Where(key => !now.ContainsKey(key)).ToList() ?? [];
        if (_told is null || others.Count > 0 || gone.Count > 0)
            await store.WriteReasonsAsync(others, gone, keepOthers: _told is not null, CancellationToken.None);
        _told = now;
        QueueGauge.Record(plan);

        var news = others.Select(w => (w.Queue, w.Shape)).ToHashSet();
        if (news.Count > 0 || changed.Count > 0)
            feed.PublishReasons(job => changed.Contains(job.Key()) || (state.ShapeOf(job.Key()) is { } shape && news.Contains(shape)));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} was placed but did not start; the next cycle decides anew")]
    private partial void LogNotStarted(Exception fault, JobId jobId);
}
