using System.Collections.Immutable;

namespace Cluster.Placement.Preemption;

/// <summary>A job that is to give all its devices to another one, once it has had its time to write a checkpoint.</summary>
/// <param name="For">Who is to have them.</param>
/// <param name="LostDeviceSeconds">Work that is lost with it, if it writes no checkpoint more.</param>
public sealed record PreemptedJob(
    JobKey Job, JobKey For, PreemptionCause Cause, double LostDeviceSeconds, ImmutableArray<GrantedDevice> Devices)
{
    /// <summary>"preempted for job …, which its queue is owed: 3.5 device-hours of work are lost".</summary>
    public string Words => $"preempted for job {For}, {Why(Cause)}: {Work(LostDeviceSeconds)} of work are lost at most";

    internal static string Why(PreemptionCause cause) => cause == PreemptionCause.Priority
        ? "which has a higher priority in the same queue" : "whose queue is within its quota while this one is beyond its own";

    private static string Work(double deviceSeconds) => deviceSeconds < 3600
        ? FormattableString.Invariant($"{deviceSeconds / 60:F1} device-minutes")
        : FormattableString.Invariant($"{deviceSeconds / 3600:F1} device-hours");
}

public enum PreemptionCause
{
    /// <summary>The other one's queue would be within its quota, and this one's is beyond it.</summary>
    OwedQuota = 0,

    /// <summary>The other one has a higher priority in the same queue.</summary>
    Priority = 1,
}
