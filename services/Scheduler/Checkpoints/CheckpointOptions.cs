using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>How checkpoints are kept, beyond what each job's own policy says.</summary>
public sealed class CheckpointOptions
{
    public const string SectionName = "Checkpoints";

    /// <summary>
    /// A chunk that no checkpoint names is kept this long after it was stored, since its manifest may be on its way. Longer than any
    /// single checkpoint takes to upload.
    /// </summary>
    [Range(typeof(TimeSpan), "00:01:00", "1.00:00:00")]
    public TimeSpan OrphanAge { get; set; } = TimeSpan.FromMinutes(30);
}
