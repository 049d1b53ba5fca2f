namespace Cluster.Scheduler.Jobs;

/// <summary>
/// Why a job has ended, or does not go on, for programs; those of waiting jobs are placement's and <see cref="QueueReason"/>'s.
/// </summary>
internal static class ReasonCodes
{
    public const string TimedOut = "timed_out";

    public const string Hung = "hung";

    public const string Straggler = "straggler";

    public const string DependencyNeverMet = "dependency_never_met";

    public const string NeverPlaced = "never_placed";

    public const string StoppedByPolicy = "stopped_by_policy";
}
