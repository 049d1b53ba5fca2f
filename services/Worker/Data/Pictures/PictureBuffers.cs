namespace Cluster.Worker.Data.Pictures;

/// <summary>What one thread needs to make samples ready, kept from one to the next.</summary>
public sealed class PictureBuffers
{
    /// <summary>The sample at hand.</summary>
    public Picture Picture { get; } = new();
}
