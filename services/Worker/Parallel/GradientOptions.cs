using System.ComponentModel.DataAnnotations;

namespace Cluster.Worker.Parallel;

/// <summary>How gradients are grouped for their exchange.</summary>
public sealed class GradientOptions
{
    public const string SectionName = "Gradients";

    /// <summary>
    /// Gradients of several layers that are summed over the ranks together. 4 MiB: long enough that the exchange moves data most of
    /// its time, short enough that the first bucket is full early in backward and little is left over after it.
    /// </summary>
    [Range(1 << 10, 1 << 30)]
    public int BucketBytes { get; set; } = 4 << 20;
}
