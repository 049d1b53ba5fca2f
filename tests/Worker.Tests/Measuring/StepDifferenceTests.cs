using Cluster.Bench.Training;

namespace Cluster.Worker.Tests.Measuring;

/// <summary>What `bench train` refuses to time.</summary>
public sealed class StepDifferenceTests
{
    private static readonly double[] Exact = [3, -4, 12];

    [Theory]
    [InlineData(1, 1, 0, true)]
    [InlineData(1 + 1e-6, 1 + 1e-6, 0, true)] // rounding
    [InlineData(1 + 1e-4, 1, 0, false)] // another loss
    [InlineData(1, 1 + 1e-3, 0, false)] // more than rounding, without kinks
    [InlineData(1, 1.01, 18, true)] // what kinks explain
    [InlineData(1, 1.2, 18, false)]
    [InlineData(1, 2, 70, false)] // a gradient that counts twice
    public void Step_IsTheNetworks_WithinWhatRoundingExplains(double lossFactor, double gradientFactor, int kinks, bool isSame)
    {
        var difference = StepDifference.Between(
            2 * lossFactor, Gradients(Exact.Select(element => element * gradientFactor)), 2, Gradients(Exact));

        difference.IsRoundingOf(kinks).ShouldBe(isSame, difference.ToString());
    }

    /// <summary>The whole gradient hardly shows it.</summary>
    [Fact]
    public void GradientThatIsLeftOut_OfAParameterHoweverSmall_IsFound()
    {
        var exact = Gradients(Exact);
        exact["bias"] = [1e-3];
        var ours = Gradients(Exact);
        ours["bias"] = [0];

        var difference = StepDifference.Between(1, ours, 1, exact);

        difference.Gradient.ShouldBeLessThan(1e-4);
        difference.WorstParameter.ShouldBe("bias");
        difference.IsRoundingOf(kinks: 70).ShouldBeFalse();
    }

    /// <summary>As of a bias before a batch normalisation: rounding is all that there is of it.</summary>
    [Fact]
    public void GradientThatCancelsOut_IsNothingToBeRelativeTo()
    {
        var exact = Gradients(Exact);
        exact["bias"] = [1e-16];
        var ours = Gradients(Exact);
        ours["bias"] = [1e-7];

        StepDifference.Between(1, ours, 1, exact).IsRoundingOf(kinks: 0).ShouldBeTrue();
    }

    [Fact]
    public void NetworksWithOtherParameters_AreNotCompared()
    {
        var other = Gradients(Exact);
        other["bias"] = [1];

        Should.Throw<InvalidOperationException>(() => StepDifference.Between(1, other, 1, Gradients(Exact)))
            .Message.ShouldStartWith("bias is not");
    }

    private static Dictionary<string, double[]> Gradients(IEnumerable<double> elements) => new() { ["weight"] = [.. elements] };
}
