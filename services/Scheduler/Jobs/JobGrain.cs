using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Nodes;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Jobs;

/// <inheritdoc cref="IJobGrain"/>
/// <remarks>
/// This part takes commands and reports, <c>JobGrain.Pause.cs</c> two commands more; <c>JobGrain.Attempts.cs</c> drives the attempt. The
/// record is read when first needed and written through before any answer; whatever fails on the way, it is dropped and read again.
/// </remarks>
internal sealed partial class JobGrain(
    JobStore store, NodeStore nodes, Quarantine quarantine, CheckpointRetention retention, JobTransitions transitions,
    ReconcileSignal signal, IOptions<JobOptions> options, TimeProvider time) : Grain, IJobGrain
{
    // Not stored: after a restart every rank has its whole patience again, in which it says anew that it is there.
    private readonly Dictionary<(int Attempt, int Rank), DateTimeOffset> _lastSigns = [];
    private readonly DateTimeOffset _activatedAt = time.GetUtcNow();
    private JobRecord? _record;

    /// <summary>What ranks have reported since the last of it was stored, and the call that will store it.</summary>
    private List<RankReport> _reports = [];
    private Task? _noting;

    private JobId Id => new(this.GetPrimaryKey());

    /// <inheritdoc/>
    public Task CancelAsync(CancelJob command) => ChangeAsync(async record =>
    {
        if (record is null)
            throw JobNotFoundException.For(Id);
        if (record.Job.State.IsFinal() || record.Job is { State: JobState.Stopping, StoppingTo: JobState.Cancelled })
            return;
        await EndAsync(record, JobState.Cancelled, Reason("cancelled", command.By, command.Reason), command.Code);
    });

    /// <inheritdoc/>
    public Task StartedAsync(StartedAttempt attempt)
    {
        _record = null;
        _secret = new LaunchSecret(attempt.Number, attempt.Secret);
        return Task.CompletedTask;
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
    public Task RankStartedAsync(int attempt, int rank) => ReportAsync(new RankReport(attempt, rank, null));

    /// <inheritdoc/>
    public Task RankExitedAsync(RankExit exit) => ReportAsync(new RankReport(exit.Attempt, exit.Rank, exit));

    /// <inheritdoc/>
    public Task NoteReportsAsync()
    {
        var reports = _reports;
        if (reports.Count == 0)
            return Task.CompletedTask;
        (_reports, _noting) = ([], null);
        return ChangeAsync(async record =>
        {
            var (started, exited) = (false, false);
            foreach (var report in reports)
            {
                if (report.Exit is { } exit)
                    exited |= NoteExit(record, exit);
                else
                    started |= NoteStart(record, report);
            }

            if (!started && !exited)
                return;
            await SaveAsync(record!);
            if (!exited)
                return;
            await ConcludeIfOverAsync(record!);
            signal.Touch(Id);
        }, reports.Max(report => report.Attempt));
    }

    /// <inheritdoc/>
    public Task TouchAsync(long version)
    {
        if (_record?.Job.Version < version)
            _record = null;
        return ChangeAsync(async record =>
        {
            if (record?.Attempt is not null and not { State: AttemptState.Ended })
                await AdvanceAsync(record);
            if (version > 0 && record is not null)
                await store.PutOffAsync(Id, record.Job.Version, NextDueOf(record), CancellationToken.None);
        });
    }

    /// <summary>Those that arrive while one write goes on are stored by the next, together, and all answered by it.</summary>
    private Task ReportAsync(RankReport report)
    {
        _reports.Add(report);
        // One that has failed before it came to run has taken nothing.
        if (_noting is null or { IsCompleted: true })
            _noting = this.AsReference<IJobGrain>().NoteReportsAsync();
        return _noting;
    }

    private bool NoteStart(JobRecord? record, RankReport report)
    {
        if (CurrentRank(record, report.Attempt, report.Rank) is not { StartedAt: null } started)
            return false;
        started.StartedAt = time.GetUtcNow();
        if (record!.Attempt!.State is AttemptState.Launching or AttemptState.Launched && record.Grants.All(g => g.StartedAt is not null))
            BeginRunning(record);
        return true;
    }

    private bool NoteExit(JobRecord? record, RankExit exit)
    {
        if (CurrentRank(record, exit.Attempt, exit.Rank) is not { GoneAt: null } ended || ended.NodeId != exit.Node.Value)
            return false;
        ended.GoneAt = time.GetUtcNow();
        (ended.ExitCode, ended.ExitSignal, ended.ExitMessage) = (exit.ExitCode, exit.Signal, exit.Message);
        ended.MatchedPolicies = [.. exit.MatchedPolicies];
        if ((exit.Evicted || AttemptVerdict.IsWantOfData(ended)) && AttemptVerdict.IsEviction(record!, ended, options.Value))
            BeginEviction(record!, AttemptVerdict.DescribeEviction(ended));
        JudgeAttempt(record!);
        return true;
    }

    private async Task AdvanceAsync(JobRecord record)
    {
        var standings = await StandingsAsync(record);
        var changed = NoteLostRanks(record, standings);
        changed |= EvictIfDrained(record, standings);
        changed |= EndIfTimeIsOver(record);
        changed |= EndIfHung(record);
        changed |= await LaunchIfDueAsync(record);
        changed |= JudgeAttempt(record);
        if (changed)
            await SaveAsync(record);
        if (record.Attempt!.State == AttemptState.Ending && await StopTrainersAsync(record, StopGrace(record, standings)))
            await SaveAsync(record);
        await ConcludeIfOverAsync(record);
    }

    private static DeviceGrantRow? CurrentRank(JobRecord? record, int attempt, int rank) =>
        record is { Attempt: { State: not AttemptState.Ended } current } && current.Number == attempt && rank >= 0
            && rank < record.Grants.Count
            ? record.Grants[rank]
            : null;

    private async Task<JobRecord?> RecordAsync() => _record ??= await store.LoadAsync(Id, CancellationToken.None);

    private Task ChangeAsync(Func<JobRecord?, Task> change, int attempt = 0) => ChangeAsync(async record =>
    {
        await change(record);
        return true;
    }, attempt);

    /// <summary>Runs a change on the record; if it fails in any way, what is in memory may differ from the row, and goes.</summary>
    /// <param name="attempt">Known at least; placement stores attempts without asking the grain.</param>
    private async Task<T> ChangeAsync<T>(Func<JobRecord?, Task<T>> change, int attempt = 0)
    {
        try
        {
            if (_record?.Job.Attempt < attempt)
                _record = null;
            return await change(await RecordAsync());
        }
        catch
        {
            _record = null;
            throw;
        }
    }

    /// <summary>Makes an end of what goes on, or of the wait: the job becomes this as soon as it holds nothing.</summary>
    private async Task EndAsync(JobRecord record, JobState to, string reason, string code = "")
    {
        if (!record.Job.State.HoldsDevices())
        {
            Become(record, to, reason, code);
            await SaveAsync(record);
            return;
        }

        record.Job.StoppingTo = to;
        if (record.Job.State == JobState.Stopping)
            (record.Job.Reason, record.Job.ReasonCode) = (reason, code);
        else
            Become(record, JobState.Stopping, reason, code);
        BeginEnding(record, reason);
        await SaveAsync(record);
        await ConcludeIfOverAsync(record);
        signal.Touch(Id);
    }

    /// <summary>"cancelled by olga: wrong data".</summary>
    private static string Reason(string what, string by, string why) => why.Length > 0 ? $"{what} by {by}: {why}" : $"{what} by {by}";

    private Task SaveAsync(JobRecord record) => SaveAsync(record, NextDueOf(record));

    private async Task SaveAsync(JobRecord record, DateTimeOffset? nextDue)
    {
        var events = record.NewEvents.ToList();
        await store.SaveAsync(record, nextDue, CancellationToken.None);
        transitions.Tell(Id, events);
        if (record.Job.State.IsFinal() && Guid.TryParse(record.Job.Spec.InitFrom?.Checkpoint, out var initialCheckpoint))
            await retention.ReleaseAsync(initialCheckpoint, CancellationToken.None);
    }

    private DateTimeOffset? NextDueOf(JobRecord record)
    {
        var due = NextDue.Of(record, LastSignOf(record), time.GetUtcNow(), options.Value);
        return HungUntil(record) is { } end && !(due < end) ? end : due;
    }

    private Func<int, DateTimeOffset> LastSignOf(JobRecord record) => rank =>
        _lastSigns.GetValueOrDefault((record.Attempt!.Number, rank), Later(record.Attempt.CreatedAt, _activatedAt));

    private void Become(JobRecord record, JobState state, string reason, string code = "") =>
        record.Become(state, reason, time.GetUtcNow(), code);

    /// <param name="Exit">Null: its training loop has begun.</param>
    private sealed record RankReport(int Attempt, int Rank, RankExit? Exit);
}
