using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training;

public sealed class AgreedLayoutTests
{
    private static readonly LayoutTimes ContiguousIsFaster = new(1, 2);
    private static readonly LayoutTimes ChannelsLastIsFaster = new(2, 1);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(2, 1, false, true)]
    [InlineData(1, 2, true, false)]
    [InlineData(1, 2, false, false)]
    [InlineData(2, 1, true, true)]
    [InlineData(100, 96, false, false)] // a noisy machine's difference
    [InlineData(96, 100, true, true)]
    [InlineData(100, 94, false, true)]
    [InlineData(94, 100, true, false)]
    [InlineData(0, 0, false, false)]
    [InlineData(0, 0, true, true)]
    public void Decide_TakesTheUnusualLayout_OnlyIfItSavesEnough(
        double contiguous, double channelsLast, bool usuallyChannelsLast, bool decision) =>
        AgreedLayout.Decide([new LayoutTimes(contiguous, channelsLast)], usuallyChannelsLast).Choice
            .ShouldBe(new PassChoice(decision, Kernels: true));

    /// <summary>By the layout that is taken.</summary>
    [Theory]
    [InlineData(90, 1, true, false)]
    [InlineData(96, 1, true, true)] // a noisy machine's difference
    [InlineData(1, 90, false, false)]
    [InlineData(1, 96, false, true)]
    [InlineData(0, 0, false, true)] // a network without any
    public void Decide_LeavesKernelsOfOurOwn_OnlyIfThatSavesEnough(
        double channelsLastByOperators, double contiguousByOperators, bool channelsLast, bool kernels)
    {
        var (contiguousTime, channelsLastTime) = channelsLast ? (200, 100) : (100, 200);
        var times = new LayoutTimes(contiguousTime, channelsLastTime, contiguousByOperators, channelsLastByOperators);

        AgreedLayout.Decide([times], channelsLast).Choice.ShouldBe(new PassChoice(channelsLast, kernels));
    }

    [Fact]
    public void Decide_GoesByTheSlowestRankOfEachLayout()
    {
        // By their sum, or by rank 0, it would be the other way round.
        AgreedLayout.Decide([new(10, 4), new(10, 12)], usuallyChannelsLast: true).Choice.ChannelsLast.ShouldBeFalse();
        AgreedLayout.Decide([new(4, 10), new(12, 10), default], usuallyChannelsLast: false).Choice.ChannelsLast.ShouldBeTrue();
        AgreedLayout.Decide([new(10, 20, 4, 20), new(10, 20, 12, 20)], usuallyChannelsLast: false).Choice.Kernels.ShouldBeTrue();
    }

    [Fact]
    public void Decide_SaysTheTimesAndWhyASmallSavingIsNotTaken() =>
        AgreedLayout.Decide([new(0.1, 0.096)], usuallyChannelsLast: false).Reason
            .ShouldBe("contiguous: a pass takes 96.0 ms channels-last and 100.0 ms contiguous on the slowest rank, which is not 5 % less");

    [Fact]
    public void Decide_SaysWhatKernelsOfOurOwnAreWorth()
    {
        AgreedLayout.Decide([new(0.1, 0.2, 0.12, 0.2)], usuallyChannelsLast: false).Reason.ShouldEndWith(
            "slowest rank; by libtorch's operators alone 120.0 ms, so kernels of our own are used");
        AgreedLayout.Decide([new(0.1, 0.2, 0.096, 0.2)], usuallyChannelsLast: false).Reason.ShouldEndWith(
            "slowest rank; by libtorch's operators alone 96.0 ms, which is not 5 % less, so kernels of our own are used");
        AgreedLayout.Decide([new(0.1, 0.2, 0.09, 0.2)], usuallyChannelsLast: false).Reason.ShouldEndWith(
            "slowest rank; by libtorch's operators alone 90.0 ms, so no kernels of our own are used");
    }

    [Fact]
    public void RanksOfDifferentProcessors_TakeOneDecision()
    {
        using var ranks = new Ranks("ab");
        var decisions = ranks.Run(group =>
        {
            using var partition = Trainings.Single("lenet5", ScalarType.Float32);
            return AgreedLayout.Choose(
                TestRuns.AJob(), partition, group, (_, _, _, _) => group.Rank == 0 ? new(3, 2, 2, 2) : new(9, 9, 8, 9), NullLogger.Instance,
                Cancelled);
        });

        decisions.ShouldBe([new PassChoice(ChannelsLast: false, Kernels: false), new PassChoice(ChannelsLast: false, Kernels: false)]);
    }

    [Fact]
    public async Task Run_TakesWhatWasMeasuredOnce_AndKeepsItWhenResumed()
    {
        var (asked, samples) = (0, 0);
        MeasureLayouts measure = (_, _, ofAPass, _) =>
        {
            (asked, samples) = (asked + 1, ofAPass);
            return ContiguousIsFaster;
        };
        var spec = TestRuns.AMobileNetJob(job =>
        {
            job.Hyperparameters.AccumulationSteps = 3;
            job.Checkpoints.EverySteps = 13;
        });
        using var cluster = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(cluster, spec, layouts: measure);
        (asked, samples).ShouldBe((1, 7)); // the largest of three passes over 20 samples
        EnvironmentOf(cluster).MemoryFormat.ShouldBe(MemoryFormats.Contiguous);

        using var elsewhere = new InMemoryCluster(worldSize: 1, inherited: cluster);
        await TestRuns.RunAsync(elsewhere, spec, resumeFrom: cluster.CheckpointIds[13], layouts: MustNotMeasure);

        EnvironmentOf(elsewhere).MemoryFormat.ShouldBe(MemoryFormats.Contiguous);
        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.ValidationLoss])
        {
            var expected = cluster.Series(series).Where(point => point.Key > 13).ToArray();
            elsewhere.Series(series).ToArray().ShouldBe(expected, series); // bit for bit
        }
    }

    /// <summary>Response normalisation by libtorch's operators rounds in other places, in the resumed run too.</summary>
    [Fact]
    public async Task Run_WhoseKernelsWereMeasuredToBeSlower_ComputesWithoutThem_AndSoWhenResumed()
    {
        MeasureLayouts operatorsAreFaster = (_, _, _, _) => new(1, 2, 0.5, 2);
        var spec = TestRuns.AnAlexNetJob(job => job.Checkpoints.EverySteps = 13);
        using var byKernels = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(byKernels, spec, layouts: (_, _, _, _) => new(1, 2, 2, 2));
        using var cluster = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(cluster, spec, layouts: operatorsAreFaster);
        cluster.Series(MetricNames.TrainLoss).ToArray().ShouldNotBe(byKernels.Series(MetricNames.TrainLoss).ToArray());

        using var elsewhere = new InMemoryCluster(worldSize: 1, inherited: cluster);
        await TestRuns.RunAsync(elsewhere, spec, resumeFrom: cluster.CheckpointIds[13], layouts: MustNotMeasure);

        var expected = cluster.Series(MetricNames.TrainLoss).Where(point => point.Key > 13).ToArray();
        elsewhere.Series(MetricNames.TrainLoss).ToArray().ShouldBe(expected); // bit for bit
    }

    /// <summary>As the last checkpoint that was written before layouts were measured: by the network's usual one.</summary>
    [Fact]
    public async Task Run_ResumedFromAPositionWithoutALayout_TakesTheUsualOne()
    {
        TrainingPosition.FromJson("""{"stepsDone": 13, "epochsClosed": 0}"""u8).ShouldBe(new TrainingPosition(13, 0));
        var byHand = TestRuns.AMobileNetJob(job =>
        {
            job.Hyperparameters.MemoryFormat = MemoryFormats.Contiguous;
            job.Checkpoints.EverySteps = 13;
        });
        using var cluster = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(cluster, byHand, layouts: MustNotMeasure);
        EnvironmentOf(cluster).MemoryFormat.ShouldBe(MemoryFormats.Contiguous);

        using var after = new InMemoryCluster(worldSize: 1, inherited: cluster);
        await TestRuns.RunAsync(after, TestRuns.AMobileNetJob(), resumeFrom: cluster.CheckpointIds[13], layouts: MustNotMeasure);

        EnvironmentOf(after).MemoryFormat.ShouldBe(MemoryFormats.ChannelsLast);
    }

    /// <summary>Running statistics, dropout, response normalisation, gradients in shared memory: none of it is touched.</summary>
    [Theory]
    [InlineData("mobilenet_v1", 2)]
    [InlineData("alexnet", 1)]
    public async Task RunThatMeasures_HasTheBitsOfOneWithThatLayoutSetByHand(string model, int worldSize)
    {
        var measured = 0;
        MeasureLayouts measure = (spec, network, samples, token) =>
        {
            var times = LayoutMeasurement.Take(spec, network, samples, token);
            times.Contiguous.ShouldBeGreaterThan(0);
            times.ChannelsLast.ShouldBeGreaterThan(0);
            Interlocked.Increment(ref measured);
            return ChannelsLastIsFaster; // whatever they are
        };
        using var cluster = new InMemoryCluster(worldSize);
        var outcomes = await TestRuns.RunAsync(cluster, Job(MemoryFormats.Auto), worldSize, layouts: measure);
        outcomes.ShouldAllBe(outcome => outcome == TrainerOutcome.Done);
        measured.ShouldBe(worldSize);

        using var byHand = new InMemoryCluster(worldSize);
        await TestRuns.RunAsync(byHand, Job(MemoryFormats.ChannelsLast), worldSize);

        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.ValidationLoss, MetricNames.TestLoss])
            cluster.Series(series).ToArray().ShouldBe(byHand.Series(series).ToArray(), series);

        JobSpec Job(string format)
        {
            var job = model == "alexnet" ? TestRuns.AnAlexNetJob() : TestRuns.AMobileNetJob();
            job.Hyperparameters.MemoryFormat = format;
            return job;
        }
    }

    [Fact]
    public void Take_LeavesTheNetworkAsItIs()
    {
        using var scope = NewDisposeScope();
        var spec = TestRuns.AMobileNetJob();
        using var network = ModelRegistry.Create(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model), seed: 1);
        var before = Values(network);

        var times = LayoutMeasurement.Take(spec, network, samples: 5, Cancelled);

        times.Contiguous.ShouldBeGreaterThan(0);
        times.ChannelsLast.ShouldBeGreaterThan(0);
        Values(network).ShouldBe(before);
        network.parameters().Count(parameter => parameter.grad is not null).ShouldBe(0);
    }

    /// <summary>Both ways, where there are kernels of our own: LeNet-5's tanh with its pooling, AlexNet's response normalisation.</summary>
    [Theory]
    [InlineData("lenet5", true)]
    [InlineData("alexnet", true)]
    [InlineData("mobilenet_v1", false)]
    public void Take_TimesPassesWithoutKernels_WhereTheNetworkHasSome(string model, bool hasKernels)
    {
        var spec = model switch
        {
            "lenet5" => TestRuns.AJob(job => job.Model.Options["activation"] = TestRuns.Word("tanh")),
            "alexnet" => TestRuns.AnAlexNetJob(),
            _ => TestRuns.AMobileNetJob(),
        };
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model), seed: 1);
        var images = randn(2, network.Shape.Channels, network.Shape.InputSize, network.Shape.InputSize);
        network.eval();
        var before = network.call(images).data<float>().ToArray();

        var times = LayoutMeasurement.Take(spec, network, samples: 2, Cancelled);

        (times.ContiguousByOperators > 0, times.ChannelsLastByOperators > 0).ShouldBe((hasKernels, hasKernels));
        network.call(images).data<float>().ToArray().ShouldBe(before); // the run's own network goes on by its kernels
    }

    [Fact]
    public void Take_OnARankWithoutSamples_CountsForNothing()
    {
        var spec = TestRuns.AMobileNetJob();
        using var network = ModelRegistry.Create(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model), seed: 1);

        LayoutMeasurement.Take(spec, network, samples: 0, Cancelled).ShouldBe(default);
    }

    private static RunEnvironment EnvironmentOf(InMemoryCluster cluster) =>
        cluster.Reports.Single(report => report.Report.Environment is not null).Report.Environment;

    private static float[] Values(ImageClassifier network) =>
        [.. network.parameters().Concat(network.Buffers().Select(buffer => buffer.Buffer))
            .SelectMany(tensor => tensor.detach().data<float>().ToArray())];

    private static LayoutTimes MustNotMeasure(JobSpec spec, ImageClassifier network, int samples, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("measured although the layout is settled");
}
