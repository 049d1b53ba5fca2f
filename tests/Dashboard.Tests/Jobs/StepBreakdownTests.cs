using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Jobs;

public sealed class StepBreakdownTests
{
    [Fact]
    public void Curves_HaveTheSamePlaces_WhateverIsLeftOfEachSeries()
    {
        var curves = StepBreakdown.Curves(name => name switch
        {
            MetricNames.StepForwardSeconds => [.. Enumerable.Range(1, 1_000).Select(step => Some.Point(name, step, 0.2))],
            MetricNames.StepBackwardSeconds => [.. Enumerable.Range(1, 500).Select(step => Some.Point(name, 2 * step, step % 2))],
            _ => [],
        });

        curves.Select(curve => curve.Label).ShouldBe(StepBreakdown.Words);
        curves.ShouldAllBe(curve => curve.X.SequenceEqual(curves[0].X));
        curves[0].X.Length.ShouldBeInRange(100, 121);
        curves[1].Y.ShouldAllBe(value => Math.Abs(value - 0.2) < 1e-12);
        curves[2].Y.Average().ShouldBe(0.5, 0.05);
        curves[0].Y.ShouldAllBe(value => value == 0);
    }

    [Fact]
    public void FewSteps_AreShownOneByOne()
    {
        var curves = StepBreakdown.Curves(name => [Some.Point(name, 7, 1), Some.Point(name, 9, 3)]);

        curves.ShouldAllBe(curve => curve.X.SequenceEqual(new[] { 7.0, 9.0 }) && curve.Y.SequenceEqual(new[] { 1.0, 3.0 }));
    }

    [Fact]
    public void WithoutPoints_ThereIsNothing()
    {
        StepBreakdown.Curves(_ => []).ShouldAllBe(curve => curve.X.Length == 0);
        StepBreakdown.Newest(MetricNames.StepParts, _ => []).ShouldBeEmpty();
        StepBreakdown.Newest(MetricNames.StepParts, name => [Some.Point(name, 1, 5), Some.Point(name, 2, 6)]).ShouldBe([6, 6, 6, 6, 6]);
    }
}
