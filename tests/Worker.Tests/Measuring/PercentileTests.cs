using Cluster.Bench.Measuring;

namespace Cluster.Worker.Tests.Measuring;

public sealed class PercentileTests
{
    [Theory]
    [InlineData(0.5, 50)]
    [InlineData(0.99, 99)]
    [InlineData(0.991, 100)]
    [InlineData(1, 100)]
    [InlineData(0.001, 1)]
    public void Percentile_OfAHundred_IsTheNearestRank(double share, double expected) =>
        Percentile.Of([.. Enumerable.Range(1, 100).Reverse().Select(figure => (double)figure)], share).ShouldBe(expected);

    [Fact]
    public void Percentile_OfOne_IsThatOne() => Percentile.Of([7], 0.01).ShouldBe(7);

    [Fact]
    public void Percentile_OfNone_IsRefused() =>
        Should.Throw<ArgumentException>(() => Percentile.Of([], 0.5)).Message.ShouldStartWith("there is no percentile of no figures");

    [Theory]
    [InlineData(0)]
    [InlineData(1.01)]
    [InlineData(double.NaN)]
    public void Share_OutsideItsRange_IsRefused(double share) =>
        Should.Throw<ArgumentOutOfRangeException>(() => Percentile.Of([1, 2], share));
}
