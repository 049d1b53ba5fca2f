namespace Cluster.Bench.Scaling;

/// <summary>What one device takes for a training step of a network, part by part.</summary>
/// <param name="Model">The registry's name.</param>
/// <param name="Batch">Samples of a device in one step.</param>
/// <param name="Units">In the network's order.</param>
/// <param name="Classes">Scores of a sample.</param>
/// <param name="Rest">Seconds of a step outside its units: loss, gradient norm and update, all by parameters rather than by samples.</param>
internal sealed record NetworkFigures(string Model, int Batch, IReadOnlyList<UnitFigures> Units, int Classes, double Rest)
{
    public long Parameters => Units.Sum(unit => unit.Parameters);

    /// <summary>Seconds of one step on one device.</summary>
    public double Step => (Batch * Units.Sum(unit => unit.Forward + unit.Backward)) + Rest;
}

/// <summary>One unit of a network.</summary>
/// <param name="Forward">Seconds a sample.</param>
/// <param name="Backward">Seconds a sample.</param>
/// <param name="Parameters">Elements.</param>
/// <param name="InputElements">Of a sample, as the unit before gives them.</param>
/// <param name="IsDense">Fully connected, rather than a convolution or a block of them.</param>
internal sealed record UnitFigures(double Forward, double Backward, long Parameters, long InputElements, bool IsDense);
