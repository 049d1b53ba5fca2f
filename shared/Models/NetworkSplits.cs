namespace Cluster.Models;

/// <summary>How a model can be divided over devices.</summary>
[Flags]
public enum NetworkSplits
{
    None = 0,

    /// <summary>All layers, by their output channels and units.</summary>
    Channels = 1,

    /// <summary>The fully connected layers alone, by their units.</summary>
    FullyConnected = 2,
}
