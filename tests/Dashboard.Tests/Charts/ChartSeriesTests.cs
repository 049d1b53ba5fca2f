using Cluster.Contracts;
using Cluster.Dashboard.Charts;
using Cluster.Dashboard.Layout;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Charts;

public sealed class ChartSeriesTests
{
    [Fact]
    public void Smoothed_IsTheMovingAverageWithoutThePullOfZero_AndKeepsWhatIsNotFinite()
    {
        var series = new ChartSeries("a", [1, 2, 3, 4], [1, double.NaN, 3, double.PositiveInfinity]);

        // ½·1 of ½; then (¼·1 + ½·3) of ¾.
        series.Smoothed(0.5).Y.ShouldBe([1, double.NaN, 1.75 / 0.75, double.PositiveInfinity]);
        series.Smoothed(0).ShouldBe(series);
    }

    [Fact]
    public void Clock_IsTheTimeOfEachPoint()
    {
        var job = Some.Job("a");
        var series = ChartSeries.Of("a", [Some.Point(MetricNames.TrainLoss, 5, 1)], ChartAxis.Clock, job);

        series.X.ShouldBe([Some.At(5).ToDateTimeOffset().ToUnixTimeSeconds()]);
    }

    [Fact]
    public void Choice_IsWhatItsAddressSays()
    {
        var address = new AddressReader();

        CurveChoice.Read(address, "accuracy", "train", "step").Shown(address, "true", "true", "0.5").Query
            .ShouldBe("curve=accuracy&part=train&by=step&log=true&logx=true&smooth=0.5");
        CurveChoice.Read(address, null, null, "clock").Shown(address, null, "true", "").Query
            .ShouldBe("curve=loss&part=validation&by=clock");
        address.Faults.ShouldBeEmpty();
        CurveChoice.Read(address, "nonsense", null, "trained").Shown(address, null, null, "NaN").ShouldBe(CurveChoice.Usual);
        address.Faults.Count.ShouldBe(3);
    }
}
