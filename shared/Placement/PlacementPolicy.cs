namespace Cluster.Placement;

/// <summary>What a decision is free to do.</summary>
/// <param name="LongestHold">
/// How long devices may stand idle for a job that something befell: in the last part, so long, of its pause after a failure, and from the
/// loss of a node that it needs.
/// </param>
public sealed record PlacementPolicy(TimeSpan LongestHold);
