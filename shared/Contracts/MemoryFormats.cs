using System.Collections.Immutable;

namespace Cluster.Contracts;

/// <summary>How a batch's images lie in memory, as job files name it.</summary>
public static class MemoryFormats
{
    /// <summary>
    /// What is quicker where the job trains, measured before its first step; where nothing is measured, what usually suits the network.
    /// </summary>
    public const string Auto = "auto";

    /// <summary>A plane a channel: (N, C, H, W).</summary>
    public const string Contiguous = "contiguous";

    /// <summary>A pixel's channels together: (N, H, W, C).</summary>
    public const string ChannelsLast = "channelsLast";

    public static ImmutableArray<string> All { get; } = [Auto, Contiguous, ChannelsLast];
}
