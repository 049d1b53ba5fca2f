using System.Globalization;

namespace Cluster.Placement;

/// <summary>Why a job waits.</summary>
/// <param name="Words">The same for people, with its numbers.</param>
public sealed record WaitReason(WaitCause Cause, string Words)
{
    /// <summary>Of a job that waits out its pause after a failure.</summary>
    /// <param name="failure">Why it was queued again.</param>
    public static WaitReason BackingOff(DateTimeOffset notBefore, string failure) =>
        new(WaitCause.BackingOff, $"waits until {Clock(notBefore)} after a failure: {failure}");

    internal static string Clock(DateTimeOffset time) => time.UtcDateTime.ToString("HH:mm:ss' UTC'", CultureInfo.InvariantCulture);
}

/// <summary>
/// Causes by which people and programs tell waiting jobs apart. What each one's <see cref="WaitCauses.Code"/> is stays so.
/// </summary>
public enum WaitCause
{
    /// <summary>Others hold the devices.</summary>
    WaitingForDevices = 0,

    /// <summary>Devices are idle, but others take the memory beside them.</summary>
    WaitingForMemory = 1,

    /// <summary>Devices are free, but kept for a job before it.</summary>
    WaitingForTurn = 2,

    /// <summary>Only a node that is lost or drained could complete what it needs.</summary>
    WaitingForNode = 3,

    /// <summary>It waits out its pause after a failure.</summary>
    BackingOff = 4,

    /// <summary>The registered cluster could never run it.</summary>
    Infeasible = 5,

    /// <summary>Its queue has all that it may have, or other queues do not lend what is idle.</summary>
    WaitingForQuota = 6,

    /// <summary>Its owner has all devices that one owner may have in the queue.</summary>
    WaitingForOwnerLimit = 7,

    /// <summary>Other jobs are about to release devices for it.</summary>
    WaitingForRelease = 8,

    /// <summary>The cycle's work was done before it was found what could be done for it.</summary>
    NotSettled = 9,

    /// <summary>Nodes that could run it are excluded from it for good, and the others do not suffice.</summary>
    NodesExcluded = 10,
}

public static class WaitCauses
{
    /// <summary>"waiting_for_devices": in the API and on metrics.</summary>
    public static string Code(this WaitCause cause) => cause switch
    {
        WaitCause.WaitingForDevices => "waiting_for_devices",
        WaitCause.WaitingForMemory => "waiting_for_memory",
        WaitCause.WaitingForTurn => "waiting_for_turn",
        WaitCause.WaitingForNode => "waiting_for_node",
        WaitCause.BackingOff => "backing_off",
        WaitCause.Infeasible => "infeasible",
        WaitCause.WaitingForQuota => "waiting_for_quota",
        WaitCause.WaitingForOwnerLimit => "waiting_for_owner_limit",
        WaitCause.WaitingForRelease => "waiting_for_release",
        WaitCause.NotSettled => "not_settled",
        WaitCause.NodesExcluded => "nodes_excluded",
        _ => throw new ArgumentOutOfRangeException(nameof(cause), cause, "no such cause"),
    };
}
