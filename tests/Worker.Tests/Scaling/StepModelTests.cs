using Cluster.Bench.Scaling;

namespace Cluster.Worker.Tests.Scaling;

/// <summary>The cost model of <c>bench scaling</c>, against what can be worked out by hand.</summary>
public sealed class StepModelTests
{
    private const int Bucket = 4000;

    private static readonly Link Free = new(Latency: 0, SumRate: double.PositiveInfinity, MoveRate: double.PositiveInfinity);

    /// <summary>
    /// Four units alike: 1 ms forward and 2 ms backward a sample, 1000 parameters, 500 elements coming in; the last is fully connected.
    /// </summary>
    private static NetworkFigures Even(double rest = 0) => new(
        "even", Batch: 10,
        [.. Enumerable.Range(0, 4).Select(unit => new UnitFigures(new Cost(0, 0.001), new Cost(0, 0.002), 1000, 500, IsDense: unit == 3))],
        Classes: 100, rest);

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void OverALinkThatCostsNothing_EveryDeviceAddsItsWholeSpeed(int devices)
    {
        var model = new StepModel(Even(), Free, Bucket);

        model.Data(devices).ShouldBe(0.12, 1e-12);
        model.Model(devices, devices).ShouldBe(0.12, 1e-12);
        model.Hybrid(devices).ShouldBe(0.12, 1e-12);
    }

    [Theory]
    [InlineData(1, 0.12)] // 4 micro-batches of 2.5 samples in one stage
    [InlineData(2, 0.12 * 9 / 8)] // 8 in two stages: one more to fill and empty it
    [InlineData(4, 0.12 * 19 / 16)]
    public void Pipeline_LosesItsFillingAndEmptying(int stages, double seconds) =>
        new StepModel(Even(), Free, Bucket).Pipeline(stages, stages).ShouldBe(seconds, 1e-12);

    [Fact]
    public void Data_HidesSumsBehindBackward_ButTheLast()
    {
        // A bucket is one unit's 4000 bytes: 2 × ½ × 4000 / 400 kB/s = 10 ms, and 2 × 1 ms; a unit's backward takes 20 ms.
        var model = new StepModel(Even(), new Link(0.001, 400_000, 400_000), Bucket);

        model.Data(2).ShouldBe(0.12 + 0.011, 1e-12); // whole buffers at once are sooner over here: 1 ms + 10 ms
    }

    [Fact]
    public void Data_WhenSumsAreSlowerThanBackward_WaitsForThemOneAfterAnother()
    {
        var model = new StepModel(Even(), new Link(0, 100_000, 100_000), Bucket);

        model.Data(2).ShouldBe(0.04 + 0.02 + (4 * 0.04), 1e-12); // forward, the first unit's backward, four sums of 40 ms
    }

    [Fact]
    public void Model_GathersWhatComesIntoEveryLayerButTheFirst_AndTheScores_ForwardAndBack()
    {
        var model = new StepModel(Even(), new Link(0.001, 1e9, 1e6), Bucket);

        // 20 samples; half of 3 × 500 and of 100 elements of 4 bytes, twice, at 1 MB/s.
        model.Model(2, 2).ShouldBe(0.12 + (2 * ((4 * 0.001) + (20 * (1500 + 100) * 4 / 2 / 1e6))), 1e-12);
    }

    [Fact]
    public void Hybrid_GathersOnlyAtTheFullyConnectedLayers()
    {
        var model = new StepModel(Even(), new Link(0, double.PositiveInfinity, 1e6), Bucket);

        model.Hybrid(2).ShouldBe(0.12 + (2 * 20 * (500 + 100) * 4 / 2 / 1e6), 1e-12);
    }

    [Fact]
    public void Rest_GoesByTheParametersThatADeviceHolds()
    {
        var model = new StepModel(Even(rest: 0.008), Free, Bucket);

        model.Data(2).ShouldBe(0.128, 1e-12);
        model.Model(2, 2).ShouldBe(0.124, 1e-12);
        model.Hybrid(2).ShouldBe(0.127, 1e-12); // 3½ of 4 units
        model.Pipeline(2, 2).ShouldBe((0.12 * 9 / 8) + 0.004, 1e-12);
    }

    [Fact]
    public void MoreDevicesThanProcessors_ShareThem()
    {
        var model = new StepModel(Even(), Free, Bucket) { Processors = 2 };

        model.Data(2).ShouldBe(0.12, 1e-12);
        model.Data(4).ShouldBe(0.24, 1e-12);
        model.Pipeline(4, 4).ShouldBe(0.24, 1e-12); // what stages do not use while they wait, others do
    }

    [Fact]
    public void WhatAPassCostsWithoutSamples_IsSharedByParts_AndPaidByEveryMicroBatch()
    {
        var units = Even().Units.Select(unit => unit with { Backward = new Cost(0.01, 0.002) }).ToList();
        var model = new StepModel(Even() with { Units = units }, Free, Bucket);

        model.Data(2).ShouldBe(0.12 + (4 * 0.01), 1e-12);
        model.Model(2, 2).ShouldBe(0.12 + (4 * 0.01 / 2), 1e-12);
        model.Hybrid(2).ShouldBe(0.12 + (3.5 * 0.01), 1e-12);
        model.Pipeline(2, 2).ShouldBe(9 * ((0.12 / 8) + (2 * 0.01)), 1e-12); // two units a stage
    }

    [Theory]
    [InlineData(4.0, 6.0, 2.0, 0.4)]
    [InlineData(7.0, 6.0, 6.0, 0.0)] // few took longer than many
    [InlineData(1.0, 6.0, 0.0, 0.6)] // many took more than in proportion
    public void Cost_GoesThroughTwoMeasurements_WhereTheyMakeSense(double ofFive, double ofTen, double without, double perSample)
    {
        var cost = Cost.Through((5, ofFive), (10, ofTen));

        (cost.Fixed, cost.PerSample).ShouldBe((without, perSample));
    }

    [Theory]
    [InlineData(1, 1e6, 0)]
    [InlineData(2, 100, 0.001 + 0.0001)] // small: everyone's whole buffer to everyone
    [InlineData(4, 1e6, 0.002 + (2 * 0.75))] // large: a share from each, and back
    public void AllReduce_TakesTheWayThatIsSoonerOver(int devices, double bytes, double seconds) =>
        new Link(0.001, 1e6, 1e6).AllReduce(bytes, devices).ShouldBe(seconds, 1e-12);
}
