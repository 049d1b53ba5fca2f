namespace Cluster.Models;

/// <summary>Where a training run stands: all that per-sample randomness may depend on besides the layer and the unit.</summary>
/// <remarks>One instance a model, shared with its layers; the training loop moves it before each forward pass.</remarks>
public sealed class StepPosition(ulong seed)
{
    /// <summary>The job's seed.</summary>
    public ulong Seed { get; } = seed;

    /// <summary>Someone else sets the parameters once the net is built, so that it need not draw them.</summary>
    internal bool ParametersFollow { get; init; }

    /// <summary>The optimizer step, from 0.</summary>
    public long Step { get; set; }

    /// <summary>Index within the global batch of the first sample that this rank sees; its others follow in order.</summary>
    public long FirstSample { get; set; }
}
