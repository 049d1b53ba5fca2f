using Cluster.Scheduler.Dashboard;
using Cluster.Scheduler.Runs;

namespace Cluster.Scheduler.Tests.Dashboard;

public sealed class EpochMeansTests
{
    private const int MostPoints = 384;

    [Fact]
    public void EpochMeans_AreOfEveryPoint_AlsoOfTheEpochUnderWay()
    {
        var means = new EpochMeans(MostPoints);
        var shown = new SortedDictionary<long, CurvePoint>();
        for (var step = 0; step < 25; step++)
        {
            means.Add(1 + (step / 10), step);
            Apply(means.TakeChange(), shown);
        }

        means.TakeChange().ShouldBeNull();
        shown.Values.Select(mean => (mean.X, mean.Y)).ShouldBe([(1, 4.5), (2, 14.5), (3, 22)]);
    }

    [Fact]
    public void EpochMeans_OfAnEpochWithAValueThatIsNotFinite_AreAGapThereAlone()
    {
        var means = new EpochMeans(MostPoints);
        foreach (var (epoch, value) in new[] { (1, 1.0), (2, double.NaN), (2, 1.0), (3, 2.0), (3, 4.0) })
            means.Add(epoch, value);

        means.TakeChange()!.Points.Select(mean => (mean.X, mean.Y)).ShouldBe([(1, 1), (2, double.NaN), (3, 3)]);
    }

    [Fact]
    public void EpochMeans_OfManyEpochs_AreThinnedToo()
    {
        var means = new EpochMeans(MostPoints);
        var shown = new SortedDictionary<long, CurvePoint>();
        for (var epoch = 1; epoch <= 10_000; epoch++)
        {
            means.Add(epoch, epoch);
            if (epoch % 13 == 0)
                Apply(means.TakeChange(), shown);
        }

        Apply(means.TakeChange(), shown);
        shown.Count.ShouldBeInRange(33, MostPoints);
        (shown.Keys.First(), shown.Keys.Last()).ShouldBe((1, 10_000));
    }

    private static void Apply(CurveChange? change, SortedDictionary<long, CurvePoint> shown)
    {
        if (change?.Replaced is { } range)
        {
            foreach (var x in shown.Keys.Where(x => x >= (range.From ?? long.MinValue) && x <= (range.To ?? long.MaxValue)).ToList())
                shown.Remove(x);
        }

        foreach (var point in change?.Points ?? [])
            shown[point.X] = point;
    }
}
