using Cluster.Scheduler.Runs;

namespace Cluster.Scheduler.Tests.Runs;

public sealed class CurveTests
{
    private const int MostPoints = 384;

    [Fact]
    public void Curve_OfNoMorePointsThanAllowed_KeepsThemAll()
    {
        var points = Enumerable.Range(1, MostPoints).Select(x => new CurvePoint(1000L * x, x % 7, 1)).ToList();

        Shown(points).ShouldBe(points);
    }

    [Fact]
    public void Curve_OfManyPoints_KeepsEndsSpikesAndGaps()
    {
        var points = Enumerable.Range(1, 100_000).Select(x => new CurvePoint(x, Math.Sin(x / 1000.0), x / 500)).ToList();
        points[31_415] = points[31_415] with { Y = 1e30 };
        points[31_416] = points[31_416] with { Y = -1e30 };
        points[50_000] = points[50_000] with { Y = double.NaN };
        points[50_001] = points[50_001] with { Y = double.PositiveInfinity };
        points[50_002] = points[50_002] with { Y = double.NegativeInfinity };

        var shown = Shown(points);

        // More than half of 64 buckets, of two points and more each.
        shown.Count.ShouldBeInRange(66, MostPoints);
        shown.ShouldBeSubsetOf(points);
        shown[0].ShouldBe(points[0]);
        shown[^1].ShouldBe(points[^1]);
        foreach (var kept in points[31_415..31_417].Concat(points[50_000..50_003]))
            shown.ShouldContain(kept);
    }

    [Fact]
    public void Curve_IsTheSame_InWhateverOrderItsPointsCome()
    {
        var points = Enumerable.Range(0, 5000).Select(x => new CurvePoint(x * 3L, x * 7919 % 1009, 1)).ToList();

        Shown(points).ShouldBe(Shown([.. points.AsEnumerable().Reverse()]));
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void Curve_WithoutAFiniteValue_IsAGapFromEndToEnd(double value)
    {
        var shown = Shown([.. Enumerable.Range(1, 10_000).Select(x => new CurvePoint(x, value, 1))]);

        shown.ShouldAllBe(point => point.Y.Equals(value));
        (shown[0].X, shown[^1].X).ShouldBe((1, 10_000));
    }

    /// <summary>What a page shows of them.</summary>
    private static List<CurvePoint> Shown(List<CurvePoint> points)
    {
        var curve = new Curve(MostPoints);
        foreach (var point in points)
            curve.Add(point);
        return [.. curve.Points];
    }
}
