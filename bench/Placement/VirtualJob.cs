using Cluster.Placement;

namespace Cluster.Bench.Placement;

/// <summary>A job as it will turn out to be, which placement is not told.</summary>
/// <param name="Terms">As it is submitted.</param>
/// <param name="Work">The device-time that it needs.</param>
internal sealed record VirtualJob(WaitingJob Terms, TimeSpan Work)
{
    /// <summary>How often it commits a checkpoint; zero: never.</summary>
    public TimeSpan CheckpointEvery { get; init; }

    public TimeSpan Restarting { get; init; }

    public TimeSpan MinRuntime { get; init; }

    public bool Preemptible { get; init; } = true;

    /// <summary>What its measured step time makes of what is left, as a factor; 1: the truth.</summary>
    public double EndError { get; init; } = 1;

    /// <summary>How wide that is off in one case of ten.</summary>
    public double LateFactor { get; init; } = 1;

    /// <summary>Before it is done it fails once, when so much of its work is.</summary>
    public double? FailsAt { get; init; }

    /// <summary>Whether it is restarted then; else the failure ends it.</summary>
    public bool Restarts { get; init; }
}
