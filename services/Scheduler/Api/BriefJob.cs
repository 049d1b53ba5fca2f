using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Api;

/// <summary>A job for somebody who has been sent it before: without what is large and does not change.</summary>
internal static class BriefJob
{
    /// <param name="sent">Null: the job has not been sent yet.</param>
    public static Job Of(Job job, Job? sent)
    {
        if (sent is null)
            return job;
        var brief = job.Clone();
        brief.Spec = null;
        if (job.Attempt == sent.Attempt)
            brief.Placement.Clear();
        return brief;
    }
}
