using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Placement;

/// <inheritdoc cref="IPlacementGrain"/>
/// <remarks>
/// It keeps the state of the cluster in memory and reads what has changed since, also after an outage of the store. Everything is read
/// when it begins, when another activation has been told of changes instead, or an answer to this one was lost, and after a fault of its
/// own.
/// </remarks>
internal sealed partial class PlacementGrain(
    PlacementStore store, QueueStore queues, ExpectedStartStore expectedStarts, PlanCommit commit, EvictionCommit evictions,
    JobTransitions transitions, JobFeed feed, IOptions<PlacementOptions> options, TimeProvider time, ILogger<PlacementGrain> logger)
    : Grain, IPlacementGrain
{
    // What queues have used changes as often as jobs start and end.
    private static readonly TimeSpan BetweenUses = TimeSpan.FromSeconds(10);

    private readonly QueueGauge _gauge = new();
    private ClusterState? _state;
    private WaitingAges _ages = new();
    private Guid _keeper;

    // Of the last cycle, and the jobs of which something has become in those that were not told of.
    private PlacementPlan? _plan;
    private HashSet<JobKey> _changed = [];

    private readonly ExpectedStarts _expected = new(expectedStarts, time.GetUtcNow());
    private Task _forecasting = Task.CompletedTask;

    // One at a time, however many ask: each takes a core.
    private readonly SemaphoreSlim _preview = new(1);
    private readonly Dictionary<QueueKey, ClusterChange.QueueUsed> _uses = [];
    private DateTimeOffset _usesWrittenAt;

    // What is written of why jobs wait; null where that is not known.
    private Dictionary<(QueueKey Queue, string Shape), WaitReason>? _told;

    /// <inheritdoc/>
    public async Task<ImmutableArray<DecidedJob>> RunCycleAsync()
    {
        try
        {
            var began = time.GetTimestamp();
            var state = await ReadAsync();
            _plan = state.Decide(time.GetUtcNow(), options.Value.Policy);
            foreach (var use in _plan.Uses)
            {
                state.Apply(use);
                _uses[use.Queue] = use;
            }

            var (started, stopped) = (await StartAsync(_plan.Starts), await EvictAsync(_plan));
            SchedulerTelemetry.CycleDuration.Record(time.GetElapsedTime(began).TotalSeconds);
            return [.. started.Select(job => new DecidedJob(job, 0)), .. stopped];
        }
        catch (Exception fault) when (fault is not StoreUnavailableException)
        {
            _state = null;
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task TellAsync()
    {
        if (_plan is not { } plan || _state is not { } state)
            return;
        try
        {
            var now = plan.Waiting.ToDictionary(w => (w.Queue, w.Shape), w => w.Reason);
            var others = plan.Waiting.Where(w => _told?.GetValueOrDefault((w.Queue, w.Shape)) != w.Reason).ToList();
            var gone = _told?.Keys.Where(key => !now.ContainsKey(key)).ToList() ?? [];
            if (_told is null || others.Count > 0 || gone.Count > 0)
                await store.WriteReasonsAsync(others, gone, keepOthers: _told is not null, CancellationToken.None);
            _gauge.Record(plan, _ages, time.GetUtcNow());
            await WriteUsesAsync();
            if (_expected.IsDue(state, time.GetUtcNow(), options.Value.ForecastInterval))
                this.AsReference<IPlacementGrain>().ForecastAsync().Ignore();
            var (news, changed) = (others.Select(w => (w.Queue, w.Shape)).ToHashSet(), _changed);
            (_told, _plan, _changed) = (now, null, []);
            if (news.Count > 0 || changed.Count > 0)
                feed.PublishReasons(job => changed.Contains(job.Key()) || (state.ShapeOf(job.Key()) is { } shape && news.Contains(shape)));
        }
        catch
        {
            _told = null;
            throw;
        }
    }

    /// <inheritdoc/>
    public Task ForecastAsync() => _forecasting.IsCompleted ? _forecasting = ReckonAsync() : _forecasting;

    private async Task ReckonAsync()
    {
        var now = time.GetUtcNow();
        if (_state is not { } state || !_expected.IsDue(state, now, options.Value.ForecastInterval))
            return;
        try
        {
            await _expected.TellAsync(state, now, options.Value.Policy);
        }
        catch (Exception fault)
        {
            LogNoForecast(fault);
        }
    }

    /// <inheritdoc/>
    public async Task RefreshAsync()
    {
        try
        {
            await ReadAsync();
        }
        catch (Exception fault) when (fault is not StoreUnavailableException)
        {
            _state = null;
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<PreviewAnswer> PreviewAsync(PreviewOrder order)
    {
        var job = order.Read();
        await this.AsReference<IPlacementGrain>().RefreshAsync();
        await _preview.WaitAsync();
        try
        {
            // What goes on meanwhile leaves the state whole wherever it waits.
            var (state, now) = (_state ?? throw new StaleStateException("placement reads everything anew"), time.GetUtcNow());
            var asked = PlacementNames.NewJob(job.Spec, job.Memory, job.Owner, now);
            var (preview, when) = StartPreviews.Of(state, asked, now, options.Value.Policy, _expected);
            if (when is not null)
                StartPreviews.Add(preview, asked, await Task.Run(when.Run));
            return PreviewAnswer.Of(preview);
        }
        catch
        {
            _state = null;
            throw;
        }
        finally
        {
            _preview.Release();
        }
    }

    /// <summary>Now and then: what is not written yet is lost with the process, and was little.</summary>
    private async Task WriteUsesAsync()
    {
        var now = time.GetUtcNow();
        if (_uses.Count == 0 || now - _usesWrittenAt < BetweenUses)
            return;
        await queues.WriteUseAsync([.. _uses.Values], CancellationToken.None);
        _uses.Clear();
        _usesWrittenAt = now;
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _gauge.Clear();
        return Task.CompletedTask;
    }

    /// <returns>The state as it is now.</returns>
    private async Task<ClusterState> ReadAsync()
    {
        var next = Guid.NewGuid();
        if (_state is not { } state || await store.ChangesAsync(_keeper, next, CancellationToken.None) is not { } news)
        {
            _told = null;
            _ages = new WaitingAges();
            _uses.Clear();
            news = await store.TakeOverAsync(next, CancellationToken.None);
            state = new ClusterState();
        }

        foreach (var change in news.Changes)
        {
            _expected.Apply(change, state, time.GetUtcNow());
            state.Apply(change);
            _ages.Apply(change);
            if (change is ClusterChange.JobQueued queued)
                _changed.Add(queued.Job.Id);
        }

        news.Later.ForEach(later => _ages.Await(later.Job, later.Until.Code));
        (_state, _keeper) = (state, next);
        return state;
    }

    private async Task<ImmutableArray<JobId>> StartAsync(ImmutableArray<JobStart> starts)
    {
        if (starts.IsEmpty)
            return [];
        var began = time.GetTimestamp();
        var opened = await commit.CommitAsync(starts, CancellationToken.None);
        SchedulerTelemetry.CommitDuration.Record(time.GetElapsedTime(began).TotalSeconds);
        await Task.WhenAll(opened.Select(HandOverAsync));
        return [.. opened.Select(attempt => attempt.Job)];
    }

    private async Task<ImmutableArray<DecidedJob>> EvictAsync(PlacementPlan plan)
    {
        var told = await evictions.CommitAsync(plan, options.Value.PreemptionGrace, CancellationToken.None);
        foreach (var job in told)
        {
            var counter = job.IsPreempted ? SchedulerTelemetry.Preemptions : SchedulerTelemetry.Resizes;
            counter.Add(1, new KeyValuePair<string, object?>("queue", job.Queue));
            transitions.Tell(job.Job, job.From, JobState.Stopping, job.Reason);
        }

        return [.. told.Select(job => new DecidedJob(job.Job, job.Version))];
    }

    /// <summary>Gives the attempt's secret to the job's grain, which launches it when it is touched.</summary>
    private async Task HandOverAsync(OpenedAttempt opened)
    {
        SchedulerTelemetry.QueueWait.Record(opened.Waited.TotalSeconds);
        transitions.Tell(opened.Job, JobState.Queued, JobState.Starting, opened.Reason);
        try
        {
            await GrainFactory.GetGrain<IJobGrain>(opened.Job.Value).StartedAsync(opened.Attempt);
        }
        catch (Exception fault)
        {
            // The launch fails for want of the secret, and the job is queued again.
            LogNotHandedOver(fault, opened.Job, opened.Attempt.Number);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "When waiting jobs start could not be reckoned or written; it is tried again soon")]
    private partial void LogNoForecast(Exception fault);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: attempt {Attempt} could not be handed over to the job's grain")]
    private partial void LogNotHandedOver(Exception fault, JobId jobId, int attempt);
}
