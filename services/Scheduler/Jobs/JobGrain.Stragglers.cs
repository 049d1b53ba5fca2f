using System.Collections.Immutable;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Jobs;

/// <summary>Ranks that are slow for long: told while they are, and moved away from where the job says so.</summary>
internal sealed partial class JobGrain
{
    // Not stored: it is said again every minute while it lasts.
    private ImmutableArray<RankLag> _slow = [];
    private int _slowOf;

    /// <inheritdoc/>
    public Task RanksLagAsync(int attempt, ImmutableArray<RankLag> slow) => ChangeAsync(async record =>
    {
        if (record is not { Job.State: JobState.Running } || slow.Any(lag => CurrentRank(record, attempt, lag.Rank) is null)
            || record.Attempt!.Number != attempt)
            return;
        (_slow, _slowOf) = (slow, attempt);
        if (slow.IsEmpty || record.Job.Spec.Restarts?.MoveStragglers != true)
        {
            await TellAsync(record);
            return;
        }

        record.Job.ExcludedNodes = [.. record.Job.ExcludedNodes.Union(slow.Select(lag => record.Grants[lag.Rank].NodeId))];
        BeginEviction(record, $"moves away: {DescribeSlow(record)}");
        await SaveAsync(record);
        signal.Touch(Id);
    }, attempt);

    /// <summary>"rank 1 on node-b (cpu:0) is slow: a step takes it 0.42 s without its waits, and the others 0.21 s".</summary>
    private string DescribeSlow(JobRecord record) => string.Join("; ", _slow.Select(lag => FormattableString.Invariant(
        $"{AttemptVerdict.Name(record.Grants[lag.Rank])} is slow: a step takes it {lag.StepSeconds:0.000} s without its waits, ")
        + FormattableString.Invariant($"and the others {lag.OthersSeconds:0.000} s")));
}
