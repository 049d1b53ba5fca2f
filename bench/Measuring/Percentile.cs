namespace Cluster.Bench.Measuring;

/// <summary>Of figures whose tail matters.</summary>
internal static class Percentile
{
    /// <summary>The nearest rank: the smallest figure that so large a share of all figures does not exceed.</summary>
    /// <param name="figures">In any order.</param>
    /// <param name="share">Above 0, at most 1: 0.99 is the 99th percentile.</param>
    public static double Of(IReadOnlyCollection<double> figures, double share)
    {
        if (figures.Count == 0)
            throw new ArgumentException("there is no percentile of no figures", nameof(figures));
        if (share is not (> 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(share), share, "give a share above 0, and at most 1");
        return figures.Order().ElementAt((int)Math.Ceiling(share * figures.Count) - 1);
    }
}
