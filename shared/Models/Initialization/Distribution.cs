namespace Cluster.Models.Initialization;

/// <summary>What a parameter's elements are drawn from at the start.</summary>
public abstract record Distribution
{
    private Distribution()
    {
    }

    /// <summary>N(0, <paramref name="StandardDeviation"/>²).</summary>
    public sealed record Gaussian(double StandardDeviation) : Distribution;

    /// <summary>Uniform in [−<paramref name="Bound"/>, <paramref name="Bound"/>).</summary>
    public sealed record Symmetric(double Bound) : Distribution;

    /// <summary>One value.</summary>
    public sealed record Constant(double Value) : Distribution;

    /// <summary>He et al. 2015, arXiv:1502.01852, eq. 10: N(0, 2 / fan-in), for layers followed by ReLU. Biases are zero,
    /// scales of a normalisation one.</summary>
    public static Distribution He(ParameterShard shard) =>
        shard.GlobalShape.Count > 1 ? new Gaussian(Math.Sqrt(2.0 / FanIn(shard))) : OneOrZero(shard);

    /// <summary>One for a weight of one dim, which is the scale γ of a normalisation, and zero for a bias or shift.</summary>
    public static Distribution OneOrZero(ParameterShard shard) =>
        new Constant(shard.Name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0);

    /// <summary>Inputs of one unit: the product of a weight's dims after the first.</summary>
    public static long FanIn(ParameterShard weight) => weight.GlobalShape.Skip(1).Aggregate(1L, (product, size) => product * size);
}
