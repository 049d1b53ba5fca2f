using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Jobs;

/// <summary>Steps that hang: told while they do, and ended when that lasts too long.</summary>
internal sealed partial class JobGrain
{
    // Not stored: a rank whose step hangs says so again every few seconds.
    private readonly SortedDictionary<int, RankStall> _stalls = [];
    private int _stallsOf;

    /// <inheritdoc/>
    public Task RankStallsAsync(int attempt, int rank, long step, string operation) => ChangeAsync(async record =>
    {
        if (record is not { Job.State: JobState.Running } || CurrentRank(record, attempt, rank) is not { GoneAt: null })
            return;
        if (_stallsOf != attempt)
            _stalls.Clear();
        _stallsOf = attempt;
        if (step == 0)
            _stalls.Remove(rank);
        else
            _stalls[rank] = new RankStall(step, operation, _stalls.GetValueOrDefault(rank)?.Since ?? time.GetUtcNow());
        await TellAsync(record);
    }, attempt);

    /// <summary>What is to be said of a job that trains: that a step hangs goes before that a rank is slow.</summary>
    private async Task TellAsync(JobRecord record)
    {
        var told = _stallsOf == record.Job.Attempt && _stalls.Count > 0 ? (RankStall.Describe(record.Grants, _stalls), ReasonCodes.Hung)
            : _slowOf == record.Job.Attempt && _slow.Length > 0
                ? ($"{TrainingWords(record)}; {DescribeSlow(record)}", ReasonCodes.Straggler)
            : (TrainingWords(record), "");
        if ((record.Job.Reason, record.Job.ReasonCode) == told)
            return;
        (record.Job.Reason, record.Job.ReasonCode) = told;
        await SaveAsync(record);
    }

    private bool EndIfHung(JobRecord record)
    {
        if (HungUntil(record) is not { } end || time.GetUtcNow() < end)
            return false;
        BeginEnding(record, $"{record.Job.Reason}, for {options.Value.HangLimit:c}");
        return true;
    }

    /// <summary>When the attempt ends that hangs; null: it does not.</summary>
    private DateTimeOffset? HungUntil(JobRecord record) =>
        record is { Job.State: JobState.Running, Attempt.State: Attempts.AttemptState.Running } && _stallsOf == record.Job.Attempt
            && _stalls.Count > 0
            ? _stalls.Values.Min(stall => stall.Since) + options.Value.HangLimit
            : null;
}
