using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>How often the reconciler looks at everything without being asked.</summary>
public sealed class ReconcileOptions
{
    public const string SectionName = "Reconciliation";

    /// <summary>
    /// Passes come when something is due, and at least so often: it bounds how late is noticed what another scheduler has left undone, or a
    /// signal that was lost. A pass over a cluster where nothing is due costs four small statements.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(2);
}
