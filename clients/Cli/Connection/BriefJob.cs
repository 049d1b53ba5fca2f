using Cluster.Contracts.V1;

namespace Cluster.Cli.Connection;

/// <summary>Jobs that come without what has been sent before.</summary>
internal static class BriefJob
{
    /// <summary>Puts back what does not change from one message to the next.</summary>
    /// <param name="before">As it was last time; null: it comes for the first time, whole.</param>
    public static void Complete(Job job, Job? before)
    {
        if (before is null || job.Spec is not null)
            return;
        job.Spec = before.Spec;
        if (job.Attempt == before.Attempt)
            job.Placement.Add(before.Placement);
    }
}
