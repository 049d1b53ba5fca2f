namespace Cluster.Scheduler.Jobs;

/// <summary>Why a job has ended, for programs; those of waiting jobs are placement's and <see cref="QueueReason"/>'s.</summary>
internal static class ReasonCodes
{
    public const string TimedOut = "timed_out";
}
