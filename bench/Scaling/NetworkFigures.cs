namespace Cluster.Bench.Scaling;

/// <summary>What one device takes for a training step of a network, part by part.</summary>
/// <param name="Model">The registry's name.</param>
/// <param name="Batch">Samples of a device in one step.</param>
/// <param name="Units">In the network's order.</param>
/// <param name="Classes">Scores of a sample.</param>
/// <param name="Rest">Seconds of a step outside its units: loss, gradient norm and update, all by parameters rather than by
/// samples.</param>
internal sealed record NetworkFigures(string Model, int Batch, IReadOnlyList<UnitFigures> Units, int Classes, double Rest)
{
    public long Parameters => Units.Sum(unit => unit.Parameters);

    /// <summary>Seconds of one step on one device.</summary>
    public double Step => Units.Sum(unit => unit.Forward.Of(Batch) + unit.Backward.Of(Batch)) + Rest;
}

/// <summary>One unit of a network.</summary>
/// <param name="Parameters">Elements.</param>
/// <param name="InputElements">Of a sample, as the unit before gives them.</param>
/// <param name="IsDense">Fully connected, rather than a convolution or a block of them.</param>
internal sealed record UnitFigures(Cost Forward, Cost Backward, long Parameters, long InputElements, bool IsDense);

/// <summary>Seconds of a pass by the samples in it: weights are read, and their gradients written, however few there are.</summary>
internal readonly record struct Cost(double Fixed, double PerSample)
{
    public double Of(double samples) => Fixed + (PerSample * samples);

    /// <summary>
    /// From two measurements. Where few samples took no less than many did, all is taken to be fixed; where many took more than in
    /// proportion, nothing.
    /// </summary>
    public static Cost Through((int Samples, double Seconds) few, (int Samples, double Seconds) many)
    {
        var most = many.Seconds / many.Samples;
        var perSample = Math.Clamp((many.Seconds - few.Seconds) / (many.Samples - few.Samples), 0, most);
        return new Cost(many.Seconds - (perSample * many.Samples), perSample);
    }
}
