namespace Cluster.Models.Tests.Reference;

/// <summary>Logits and gradients against nets written from the papers in Python.</summary>
public sealed class PaperNetsTests(PaperNets nets) : IClassFixture<PaperNets>
{
    // Both sides sum the same products in float64, in different orders: about √n·2⁻⁵³ relative to the largest terms, n below 10⁵.
    private const double RelativeTolerance = 1e-9;

    public static TheoryData<int> Cases => [.. Enumerable.Range(0, PaperNets.Cases.Count)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void ForwardAndBackward_EqualThePaper(int which)
    {
        foreach (var (name, actual, expected) in nets.Comparisons[which])
            Distance(actual, expected).ShouldBeLessThan(RelativeTolerance, name);
    }

    /// <summary>‖actual − expected‖ / ‖expected‖; an expected zero vector would prove nothing and is refused.</summary>
    private static double Distance(double[] actual, double[] expected)
    {
        var norm = Math.Sqrt(expected.Sum(e => e * e));
        norm.ShouldBeGreaterThan(0);
        return Math.Sqrt(actual.Zip(expected, (a, e) => (a - e) * (a - e)).Sum()) / norm;
    }
}
