using Cluster.Contracts.V1;

namespace Cluster.Contracts;

/// <summary>Who has a device, as far as the caller is told.</summary>
public static class DeviceHolders
{
    /// <summary>What stands for a job that the caller does not see, in the scheduler's texts and in lists.</summary>
    public const string HiddenJob = "a job of another workspace";

    /// <summary>Whether a job has it, also one whose id the caller is not told.</summary>
    public static bool IsHeld(this DeviceStatus device) => device.JobId.Length > 0 || device.Attempt > 0;

    /// <summary>Whether a job has it that the caller does not see.</summary>
    public static bool IsHeldByHiddenJob(this DeviceStatus device) => device.JobId.Length == 0 && device.Attempt > 0;
}
