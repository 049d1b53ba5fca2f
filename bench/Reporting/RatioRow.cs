using System.Text.Json.Serialization;

namespace Cluster.Bench.Reporting;

/// <summary>One comparison.</summary>
/// <param name="Name">What was measured, and against whom.</param>
/// <param name="Ours">This system's median.</param>
/// <param name="Peer">The peer's median, from the same run.</param>
/// <param name="Ratio">Above 1 where ours is better, whether better is more or less.</param>
/// <param name="Unit">Of both medians.</param>
internal sealed record RatioRow(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("ours")] double Ours,
    [property: JsonPropertyName("peer")] double Peer,
    [property: JsonPropertyName("ratio")] double Ratio,
    [property: JsonPropertyName("unit")] string Unit)
{
    /// <summary>Of a rate: bandwidth, samples a second.</summary>
    public static RatioRow MoreIsBetter(string name, double ours, double peer, string unit) => new(name, ours, peer, ours / peer, unit);

    /// <summary>Of a cost: time, memory.</summary>
    public static RatioRow LessIsBetter(string name, double ours, double peer, string unit) => new(name, ours, peer, peer / ours, unit);
}
