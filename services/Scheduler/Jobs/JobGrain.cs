using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Jobs;

/// <inheritdoc cref="IJobGrain"/>
/// <remarks>
/// This part takes commands; <c>JobGrain.Attempts.cs</c> drives the attempt. The record is read when first needed and written through
/// before any answer; whatever fails on the way, it is dropped and read again.
/// </remarks>
internal sealed partial class JobGrain(
    JobStore store, NodeStore nodes, CapacityCheck capacity, InitialCheckpoint initial, CheckpointStore checkpoints,
    CheckpointRetention retention, JobFeed feed, ReconcileSignal signal,
    IOptions<JobOptions> options, TimeProvider time, ILogger<JobGrain> logger) : Grain, IJobGrain
{
    // Not stored: after a restart every rank has its whole patience again, in which it says anew that it is there.
    private readonly Dictionary<(int Attempt, int Rank), DateTimeOffset> _lastSigns = [];
    private readonly DateTimeOffset _activatedAt = time.GetUtcNow();
    private JobRecord? _record;

    private JobId Id => new(this.GetPrimaryKey());

    /// <inheritdoc/>
    public async Task<bool> SubmitAsync(SubmitJob command)
    {
        if (await RecordAsync() is not null)
            return false;
        var spec = await initial.PinAsync(JsonColumn.Read<JobSpec>(command.SpecJson), CancellationToken.None);
        var memory = command.MemoryJson.Length > 0 ? JsonColumn.Read<MemoryEstimate>(command.MemoryJson) : null;
        if (!command.WaitForCapacity)
            await capacity.EnsureFitsAsync(spec, memory, CancellationToken.None);
        var submission = new JobSubmission(
            Id, command.Owner, command.RequestId, spec, command.WaitForCapacity, command.TraceParent, command.TraceState, memory);
        var (job, submitted) = submission.Rows(time.GetUtcNow());
        var isNew = await store.InsertAsync(job, submitted, CancellationToken.None);
        if (isNew)
        {
            LogBecame(Id, JobState.Unspecified, JobState.Queued, job.Reason);
            feed.Publish(Id);
            signal.Place();
        }

        return isNew;
    }

    /// <inheritdoc/>
    public Task CancelAsync(CancelJob command) => ChangeAsync(async record =>
    {
        if (record is null)
            throw JobNotFoundException.For(Id);
        if (record.Job.State.IsFinal() || record.Job is { State: JobState.Stopping, StoppingTo: JobState.Cancelled })
            return;
        var reason = command.Reason.Length > 0 ? $"cancelled by {command.By}: {command.Reason}" : $"cancelled by {command.By}";
        if (!record.Job.State.HoldsDevices())
        {
            Become(record, JobState.Cancelled, reason);
            await SaveAsync(record);
            return;
        }

        record.Job.StoppingTo = JobState.Cancelled;
        if (record.Job.State == JobState.Stopping)
            record.Job.Reason = reason;
        else
            Become(record, JobState.Stopping, reason);
        BeginEnding(record, reason);
        await SaveAsync(record);
        await ConcludeIfOverAsync(record);
        signal.Touch(Id);
    });

    /// <inheritdoc/>
    public async Task<bool> StartAsync(StartAttempt command)
    {
        try
        {
            var started = false;
            await ChangeAsync(async record =>
            {
                if (record is not { Job.State: JobState.Queued } || record.Job.NotBefore > time.GetUtcNow())
                    return;
                await OpenAttemptAsync(record, command);
                started = true;
            });
            return started;
        }
        catch (DeviceTakenException taken)
        {
            LogDeviceTaken(Id, taken.Message);
            return false;
        }
    }

    /// <inheritdoc/>
    public Task RankLivesAsync(int attempt, int rank)
    {
        foreach (var ended in _lastSigns.Keys.Where(key => key.Attempt < attempt).ToList())
            _lastSigns.Remove(ended);
        _lastSigns[(attempt, rank)] = time.GetUtcNow();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task RankStartedAsync(int attempt, int rank) => ChangeAsync(async record =>
    {
        if (CurrentRank(record, attempt, rank) is not { StartedAt: null } started)
            return;
        started.StartedAt = time.GetUtcNow();
        if (record!.Attempt!.State is AttemptState.Launching or AttemptState.Launched && record.Grants.All(g => g.StartedAt is not null))
            BeginRunning(record);
        await SaveAsync(record);
    });

    /// <inheritdoc/>
    public Task RankExitedAsync(RankExit exit) => ChangeAsync(async record =>
    {
        if (CurrentRank(record, exit.Attempt, exit.Rank) is not { GoneAt: null } ended || ended.NodeId != exit.Node.Value)
            return;
        ended.GoneAt = time.GetUtcNow();
        (ended.ExitCode, ended.ExitSignal, ended.ExitMessage) = (exit.ExitCode, exit.Signal, exit.Message);
        if ((exit.Evicted || AttemptVerdict.IsWantOfData(ended)) && AttemptVerdict.IsEviction(record!, ended, options.Value))
            BeginEviction(record!, AttemptVerdict.DescribeEviction(ended));
        JudgeAttempt(record!);
        await SaveAsync(record!);
        await ConcludeIfOverAsync(record!);
        signal.Touch(Id);
    });

    /// <inheritdoc/>
    public Task TouchAsync() => ChangeAsync(async record =>
    {
        if (record?.Attempt is null or { State: AttemptState.Ended })
            return;
        var standings = await StandingsAsync(record);
        var changed = NoteLostRanks(record, standings);
        changed |= EvictIfDrained(record, standings);
        changed |= await LaunchIfDueAsync(record);
        changed |= JudgeAttempt(record);
        if (changed)
            await SaveAsync(record);
        if (record.Attempt.State == AttemptState.Ending && await StopTrainersAsync(record, StopGrace(record, standings)))
            await SaveAsync(record);
        await ConcludeIfOverAsync(record);
    });

    private static DeviceGrantRow? CurrentRank(JobRecord? record, int attempt, int rank) =>
        record is { Attempt: { State: not AttemptState.Ended } current } && current.Number == attempt && rank >= 0
            && rank < record.Grants.Count
            ? record.Grants[rank]
            : null;

    private async Task<JobRecord?> RecordAsync() => _record ??= await store.LoadAsync(Id, CancellationToken.None);

    /// <summary>Runs a change on the record; if it fails in any way, what is in memory may differ from the row, and goes.</summary>
    private async Task ChangeAsync(Func<JobRecord?, Task> change)
    {
        try
        {
            await change(await RecordAsync());
        }
        catch
        {
            _record = null;
            throw;
        }
    }

    private async Task SaveAsync(JobRecord record)
    {
        var events = record.NewEvents.ToList();
        await store.SaveAsync(record, CancellationToken.None);
        foreach (var transition in events)
        {
            LogBecame(Id, transition.FromState, transition.ToState, transition.Reason);
            SchedulerTelemetry.Transitions.Add(1, new KeyValuePair<string, object?>("to", transition.ToState.Word()));
        }

        if (record.Job.State.IsFinal() && Guid.TryParse(record.Job.Spec.InitFrom?.Checkpoint, out var initialCheckpoint))
            await retention.ReleaseAsync(initialCheckpoint, CancellationToken.None);

        feed.Publish(Id);
    }

    private void Become(JobRecord record, JobState state, string reason) => record.Become(state, reason, time.GetUtcNow());

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: {From} → {To}: {Reason}")]
    private partial void LogBecame(JobId jobId, JobState from, JobState to, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Job {JobId} was placed on a device that is taken; the next cycle decides anew: {Detail}")]
    private partial void LogDeviceTaken(JobId jobId, string detail);
}
