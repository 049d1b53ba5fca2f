using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>Batch normalisation where each rank sees a part of the batch.</summary>
public sealed class BatchStatisticsTests
{
    private const int Steps = 5;

    /// <summary>float64 as in <see cref="EquivalenceTests"/>, over a tenth of its steps.</summary>
    private const double Tolerance = 1e-9;

    [Theory]
    [InlineData(8, "aa")]
    [InlineData(7, "aab")] // 2, 2 and 3 samples
    [InlineData(1, "aa")] // none for rank 0
    public void Synchronised_LossesAndRunningStatisticsAreThoseOfOneDevice(int batchSize, string placement)
    {
        using var single = Trainings.Single("resnet18", ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, Steps, batchSize);
        var running = Running(single);
        using var ranks = new Ranks(placement);
        var results = ranks.Run(group =>
        {
            using var partition = Trainings.Data("resnet18", ScalarType.Float64, group);
            return (Losses: Trainings.Train(partition, ScalarType.Float64, Steps, batchSize, group: group), Running: Running(partition));
        });

        foreach (var (losses, statistics) in results)
        {
            ShouldBeNear(losses, expected);
            ShouldBeNear(statistics, running);
            statistics.ShouldBe(results[0].Running); // to the bit, or a checkpoint would depend on who writes it
        }
    }

    [Fact]
    public void Synchronised_EvaluationGoesByTheRunningStatistics()
    {
        using var single = Trainings.Single("vgg11_bn", ScalarType.Float64);
        Trainings.Train(single, ScalarType.Float64, 2);
        var expected = Evaluate(single);
        using var ranks = new Ranks("aa");
        var outcomes = ranks.Run(group =>
        {
            using var partition = Trainings.Data("vgg11_bn", ScalarType.Float64, group);
            Trainings.Train(partition, ScalarType.Float64, 2);
            return Evaluate(partition);
        });

        foreach (var outcome in outcomes)
        {
            outcome.Correct.ShouldBe(expected.Correct);
            outcome.LossSum.ShouldBe(expected.LossSum, expected.LossSum * Tolerance);
        }
    }

    /// <summary>Values far from zero, where a variance as E[x²] − E[x]² would have lost half its digits.</summary>
    [Theory]
    [InlineData(ScalarType.Float64, 1e-9)]
    [InlineData(ScalarType.Float32, 2e-4)] // a rounding of x, 2⁻²⁴·10³, is 6·10⁻⁵ of its deviation, and there are a few
    public void Synchronised_OfOneLayer_GivesOneDevicesOutputAndGradients(ScalarType dtype, double tolerance)
    {
        var (input, gradient) = (Values(1, offset: 1000), Values(2, offset: 0));
        using var whole = new BatchNormalization(3, dtype);
        var expected = Pass(whole, input, gradient, 0, 6, dtype);
        using var ranks = new Ranks("aa");
        var parts = ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var layer = new BatchNormalization(3, dtype);
            var statistics = new WholeBatchStatistics(group);
            layer.OverWholeBatch = x => SynchronisedBatchNorm.Apply(x, layer, statistics);
            var (start, count) = group.Rank == 0 ? (0, 2) : (2, 4);
            return Pass(layer, input, gradient, start, count, dtype);
        });

        ShouldBeNear([.. parts[0].Output, .. parts[1].Output], expected.Output, tolerance);
        ShouldBeNear([.. parts[0].Input, .. parts[1].Input], expected.Input, tolerance);
        ShouldBeNear([.. parts[0].Weight.Zip(parts[1].Weight, (a, b) => a + b)], expected.Weight, tolerance);
        ShouldBeNear([.. parts[0].Bias.Zip(parts[1].Bias, (a, b) => a + b)], expected.Bias, tolerance);
    }

    /// <summary>One value has no variance: n − 1 would divide by zero, and what is not finite would stay in the checkpoint.</summary>
    [Fact]
    public void Synchronised_OverASingleValueAChannel_LeavesTheRunningVarianceAlone()
    {
        using var ranks = new Ranks("aa");
        var running = ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var layer = new BatchNormalization(3, ScalarType.Float64);
            using var statistics = new WholeBatchStatistics(group);
            layer.OverWholeBatch = x => SynchronisedBatchNorm.Apply(x, layer, statistics);
            layer.call(full([group.Rank, 3, 1, 1], 5.0, dtype: ScalarType.Float64)); // rank 0 has no sample
            return (Mean: Trainings.Values(layer.running_mean!), Variance: Trainings.Values(layer.running_var!));
        });

        running.ShouldAllBe(rank => rank.Mean.All(mean => Math.Abs(mean - 0.5) < 1e-12) && rank.Variance.All(variance => variance == 1));
    }

    [Fact]
    public void PerRank_RunningStatisticsAreTheSamplesAverageOfTheRanks()
    {
        const int BatchSize = 7; // 3 and 4 samples
        using var ranks = new Ranks("aa");
        var results = ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var partition = Trainings.Data("resnet18", ScalarType.Float64, group, syncBatchNorm: false);
            partition.Network.train();
            var batch = Trainings.Batch(partition, ScalarType.Float64, step: 0, BatchSize);
            using var alone = Trainings.Single("resnet18", ScalarType.Float64);
            alone.Network.train();
            alone.Network.call(batch.Images);
            partition.ForwardBackward(batch);
            double[] averaged;
            using (partition.OwnStatistics!.Average())
                averaged = Running(partition);
            Running(partition).ShouldBe(Running(alone)); // and goes on from its own
            return (Own: Running(alone), Averaged: averaged, Samples: batch.Images.shape[0]);
        });

        var expected = results[0].Own.Zip(results[1].Own, (a, b) => ((a * results[0].Samples) + (b * results[1].Samples)) / BatchSize)
            .ToArray();
        results[0].Averaged.ShouldBe(results[1].Averaged); // to the bit
        ShouldBeNear(results[0].Averaged, expected);
        results[0].Own.ShouldNotBe(results[1].Own); // or averaging would say nothing
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void Synchronised_WhenAPeerIsLostInBackward_ThrowsAndNamesIt(string placement)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(group =>
        {
            using var scope = NewDisposeScope();
            using var partition = Trainings.Data("resnet18", ScalarType.Float32, group);
            Trainings.Train(partition, ScalarType.Float32, 1);
            var batch = Trainings.Batch(partition, ScalarType.Float32, step: 1);
            if (group.Rank == 0)
                partition.ForwardBackward(batch);
            else
                partition.Network.call(batch.Images); // the same exchanges forward, and then gone
        });

        failures[0].ShouldBeOfType<CollectiveException>().Peer.ShouldBe(1);
        failures[1].ShouldBeNull();
    }

    private static EvaluationOutcome Evaluate(ITrainingPartition partition)
    {
        using var scope = NewDisposeScope();
        partition.Network.eval();
        return partition.Evaluate(Trainings.Batch(partition, ScalarType.Float64, step: 3, size: 61));
    }

    private static (double[] Output, double[] Input, double[] Weight, double[] Bias) Pass(
        BatchNormalization layer, double[] input, double[] gradient, int start, int count, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var x = Slice(input).requires_grad_();
        var y = layer.call(x);
        y.backward([Slice(gradient)]);
        return (Trainings.Values(y), Trainings.Values(x.grad!), Trainings.Values(layer.weight.grad!), Trainings.Values(layer.bias!.grad!));

        Tensor Slice(double[] values) => tensor(values).view(6, 3, 2, 2).narrow(0, start, count).to(dtype, copy: true);
    }

    private static double[] Values(ulong stream, double offset) =>
        [.. Enumerable.Range(0, 6 * 3 * 2 * 2).Select(i => offset + Cluster.Models.CounterRandom.Normal(stream, (ulong)i))];

    private static double[] Running(ITrainingPartition partition) =>
        [.. partition.Network.Buffers().SelectMany(b => Trainings.Values(b.Buffer))];

    private static void ShouldBeNear(double[] values, double[] expected, double tolerance = Tolerance)
    {
        values.Length.ShouldBe(expected.Length);
        var largest = expected.Max(Math.Abs);
        values.Zip(expected, (a, b) => Math.Abs(a - b)).Max().ShouldBeLessThanOrEqualTo(largest * tolerance);
    }
}
