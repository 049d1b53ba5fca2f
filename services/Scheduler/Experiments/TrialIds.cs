using Cluster.Contracts;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Experiments;

/// <summary>Which job a trial is follows from its number: made twice, it would meet the same row.</summary>
internal static class TrialIds
{
    public static JobId JobOf(string owner, string experimentRequest, int trial) =>
        JobIds.ForRequest(owner, JobIds.MemberRequest(experimentRequest, trial));
}
