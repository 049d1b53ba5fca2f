using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>How often the reconciler looks at everything without being asked.</summary>
public sealed class ReconcileOptions
{
    public const string SectionName = "Reconciliation";

    /// <summary>Bounds how late a passed backoff or a lost signal is noticed; a pass over an idle cluster costs three queries.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(2);
}
