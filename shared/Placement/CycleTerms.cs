namespace Cluster.Placement;

/// <summary>When a cycle decides, and what it is free to do.</summary>
internal sealed record CycleTerms(DateTimeOffset Time, PlacementPolicy Policy);
