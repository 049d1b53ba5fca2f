using Cluster.Placement.Forecasts;
using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Forecasts;

/// <summary>What is claimed of forecasts comes to be what comes true of them.</summary>
public sealed class CalibrationTests
{
    private readonly Calibration _calibration = new();

    [Fact]
    public void Level_OfStartsThatCameInTheEarlierWays_IsAsFarDown()
    {
        // Minutes 1 to 20 were said; the starts came within the first ten, one as often as another.
        for (var i = 0; i < 100; i++)
            Note(startedAfter: 0.5 + (i % 10), Enumerable.Range(1, 20));

        var levels = _calibration.SoFar();

        levels.Of(0.5, TimeSpan.FromMinutes(11)).ShouldBe(0.2, 0.03);
        levels.Of(0.9, TimeSpan.FromMinutes(11)).ShouldBe(0.4, 0.03);
        levels.Of(0.5, TimeSpan.FromMinutes(100)).ShouldBe(0.5, "of waits of that length nothing is known");
    }

    [Fact]
    public void Level_OfFewStarts_IsWhatIsClaimed()
    {
        for (var i = 0; i < 20; i++)
            Note(startedAfter: 0, Enumerable.Range(1, 20));

        _calibration.SoFar().Of(0.5, TimeSpan.FromMinutes(11)).ShouldBe(0.5);
    }

    /// <summary>Where all ways agree, some seconds are no error.</summary>
    [Fact]
    public void Level_OfStartsThatCameAsSaid_IsTheMiddle()
    {
        for (var i = 0; i < 60; i++)
            Note(startedAfter: 11 + (0.1 * (i % 2)), Enumerable.Repeat(11, 20));

        _calibration.SoFar().Of(0.9, TimeSpan.FromMinutes(11)).ShouldBe(0.5);
    }

    /// <summary>Ways in which all takes longer than it does: half and nine tenths come true all the same, after a while.</summary>
    [Fact]
    public void Claims_ComeTrue_ThoughTheWaysAreTooLong()
    {
        var (random, (byLikely, byLate)) = (new Random(1), (0, 0));
        for (var i = 0; i < 1200; i++)
        {
            var ways = Enumerable.Range(0, 20).Select(_ => 1.3 * Minutes()).Order().ToList();
            var levels = _calibration.SoFar();
            var wait = TimeSpan.FromMinutes(ways[10]);
            var started = Minutes();
            if (i >= 200)
            {
                byLikely += started <= Said(0.5) ? 1 : 0;
                byLate += started <= Said(0.9) ? 1 : 0;
            }

            Note(started, ways);

            double Said(double claimed) => ways[Math.Clamp((int)Math.Round(levels.Of(claimed, wait) * 21) - 1, 0, 19)];
        }

        (byLikely / 1000.0).ShouldBe(0.5, 0.06);
        (byLate / 1000.0).ShouldBe(0.9, 0.06);

        double Minutes() => 20 + (20 * random.NextDouble());
    }

    private void Note(double startedAfter, IEnumerable<int> ways) => Note(startedAfter, ways.Select(way => (double)way));

    private void Note(double startedAfter, IEnumerable<double> ways) => _calibration.Note(
        new JobForecast(default, 1, new Estimate(Now, Now), [])
        {
            At = Now,
            Ways = [.. ways.Select(way => Now.AddMinutes(way))],
        }, Now.AddMinutes(startedAfter));
}
