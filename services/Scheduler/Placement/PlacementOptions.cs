using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Placement;

/// <summary>How placement shares out devices.</summary>
public sealed class PlacementOptions
{
    public const string SectionName = "Placement";

    /// <summary>
    /// How long devices may stand idle for a job that something befell: in the last part, so long, of its pause after a failure, and from
    /// the loss of a node that it needs. The longest pause by default is half of it, and a machine restarts within it. Zero holds nothing.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan LongestHold { get; set; } = TimeSpan.FromMinutes(10);
}
