using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>What a job's own rules say to the failure of its ranks. Pure, like <see cref="AttemptVerdict"/>.</summary>
internal static class FailurePolicies
{
    /// <returns>Why the job is not started again; null: it may be.</returns>
    public static string? ReasonToStop(JobRecord record) =>
        Found(record, FailureActions.StopRetrying).Select(found =>
            $"rank {found.Rank.Rank} wrote what failurePolicies[{found.Number}] looks for ({found.Policy.Pattern}): no restart follows")
            .FirstOrDefault();

    /// <summary>Nodes that the job is to keep from for good.</summary>
    public static IEnumerable<Guid> ExcludedNodes(JobRecord record) =>
        Found(record, FailureActions.ExcludeNode).Select(found => found.Rank.NodeId);

    private static IEnumerable<(int Number, FailurePolicy Policy, DeviceGrantRow Rank)> Found(JobRecord record, string action) =>
        from rank in record.Grants
        where !AttemptVerdict.IsDone(rank)
        from number in rank.MatchedPolicies
        where number <= record.Job.Spec.FailurePolicies.Count
        let policy = record.Job.Spec.FailurePolicies[number - 1]
        where policy.Action == action
        select (number, policy, rank);
}
