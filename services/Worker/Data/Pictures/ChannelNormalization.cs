using System.Collections.Immutable;

namespace Cluster.Worker.Data.Pictures;

/// <summary>(pixel / 255 − mean) / deviation, a channel at a time: inputs of zero mean and unit variance.</summary>
/// <param name="Mean">Of each channel, as a share of 255.</param>
/// <param name="Deviation">Of each channel, likewise.</param>
public sealed record ChannelNormalization(ImmutableArray<float> Mean, ImmutableArray<float> Deviation)
{
    /// <summary>The same for every one of <paramref name="channels"/>.</summary>
    public static ChannelNormalization Uniform(int channels, float mean, float deviation) =>
        new([.. Enumerable.Repeat(mean, channels)], [.. Enumerable.Repeat(deviation, channels)]);

    public float Apply(int channel, byte pixel) => ((pixel / 255f) - Mean[channel]) / Deviation[channel];
}
