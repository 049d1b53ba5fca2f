namespace Cluster.Bench.Hosts;

/// <summary>What a line between two hosts does to every frame.</summary>
/// <param name="Delay">Added each way, at least: the sleep's resolution of a millisecond comes on top.</param>
/// <param name="Loss">Probability that a frame does not arrive, from 0 to 1.</param>
internal readonly record struct LineQuality(TimeSpan Delay, double Loss);
