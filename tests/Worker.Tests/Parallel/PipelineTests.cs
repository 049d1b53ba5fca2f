using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>A pipeline trains as one device that accumulates gradients over the same micro-batches.</summary>
public sealed class PipelineTests
{
    private const int Steps = 20;

    /// <summary>As in <see cref="EquivalenceTests"/>: sums over the pipelines come in another order.</summary>
    private const double Tolerance = 1e-9;

    /// <summary>One pipeline computes what one device does, in its order: the bits are the same wherever the network is cut.</summary>
    [Theory]
    [InlineData("vgg11", "aa", 4, 8)]
    [InlineData("mobilenet_v2", "ab", 3, 7)] // 2, 2 and 3 samples
    [InlineData("resnet18", "aabb", 2, 8)] // fewer micro-batches than stages
    [InlineData("alexnet", "aaaabbbb", 3, 8)] // a unit a stage, so that dropout lies before the last one
    public void OnePipeline_HasTheBitsOfOneDevice(string network, string placement, int microBatches, int batchSize)
    {
        ShouldHaveTheBitsOfOneDevice(network, placement, microBatches, batchSize, ScalarType.Float64, steps: 3);
        ShouldHaveTheBitsOfOneDevice(network, placement, microBatches, batchSize, ScalarType.Float32, steps: 1);
    }

    [Theory]
    [Trait("Round", "full")]
    [InlineData("vgg11", "aabb", 8, 8)]
    [InlineData("vgg11_bn", "ab", 4, 8)]
    [InlineData("resnet18", "aa", 4, 8)]
    [InlineData("mobilenet_v1", "aaaa", 4, 8)]
    [InlineData("mobilenet_v2", "aabb", 4, 8)]
    [InlineData("alexnet", "ab", 3, 8)]
    [InlineData("lenet5", "aaa", 8, 8)]
    public void OnePipeline_OfEveryFamily_HasTheBitsOfOneDeviceIn20Steps(string network, string placement, int microBatches, int batchSize)
    {
        ShouldHaveTheBitsOfOneDevice(network, placement, microBatches, batchSize, ScalarType.Float64, Steps);
        ShouldHaveTheBitsOfOneDevice(network, placement, microBatches, batchSize, ScalarType.Float32, steps: 1);
    }

    [Theory]
    [InlineData("vgg11", "aabb", 2, 8)]
    [InlineData("vgg11", "aaaa", 3, 7)] // of 3 and 4 samples
    public void DataTimesPipeline_HasTheLossesOfOneDevice(string network, string placement, int microBatches, int batchSize)
    {
        using var single = Trainings.Single(network, ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, Steps, batchSize);

        ShouldFollow(TrainOnRanks(network, placement, microBatches, batchSize), expected);
    }

    /// <summary>Statistics are those of a micro-batch of both pipelines: one device must see their samples together.</summary>
    [Fact]
    public void DataTimesPipeline_WithSynchronisedStatistics_HasTheLossesOfOneDevice()
    {
        int[] together = [0, 1, 4, 5, 2, 3, 6, 7]; // the first micro-batches of both, then the second
        using var single = Trainings.Single("resnet18", ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, Steps, change: batch => batch with
        {
            Images = cat([.. together.Select(sample => batch.Images.narrow(0, sample, 1))], 0),
            Labels = cat([.. together.Select(sample => batch.Labels.narrow(0, sample, 1))], 0),
            AccumulationSteps = 2,
        });

        ShouldFollow(TrainOnRanks("resnet18", "aabb", microBatches: 2, Trainings.BatchSize), expected);
    }

    [Fact]
    public void DataTimesPipeline_WithoutSynchronisedStatistics_AveragesThoseOfAStage()
    {
        using var ranks = new Ranks("aaaa");
        var running = ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var partition = Trainings.Pipeline(
                "resnet18", ScalarType.Float32, group, stages: 2, microBatches: 2, syncBatchNorm: false);
            Trainings.Train(partition, ScalarType.Float32, 2);
            using var averaged = partition.OwnStatistics!.Average();
            return partition.Network.Buffers().SelectMany(b => Trainings.Values(b.Buffer)).ToArray();
        });

        running[2].ShouldBe(running[0]);
        running[3].ShouldBe(running[1]);
        running[0].ShouldNotBe(running[1]);
    }

    [Theory]
    [InlineData("vgg11", "aabb")]
    public void DataTimesPipeline_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string network, string placement) =>
        StepGradients.ShouldBeThoseOfOneDevice(
            network, placement, group => Trainings.Pipeline(network, ScalarType.Float32, group, stages: 2, microBatches: 4));

    [Theory]
    [InlineData("vgg11", 61)]
    [InlineData("vgg11", 1)] // none for the first pipeline
    [InlineData("resnet18", 5)] // of 2 and 3 samples, in 3 micro-batches
    public void Evaluate_GivesTheFiguresOfOneDevice(string network, int size)
    {
        using var single = Trainings.Single(network, ScalarType.Float64);
        var expected = Evaluate(single);
        using var ranks = new Ranks("aabb");
        foreach (var outcome in ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline(network, ScalarType.Float64, group, stages: 2, microBatches: 3);
            return Evaluate(partition);
        }))
        {
            outcome.Correct.ShouldBe(expected.Correct);
            outcome.LossSum.ShouldBe(expected.LossSum, Math.Abs(expected.LossSum) * Tolerance);
        }

        EvaluationOutcome Evaluate(ITrainingPartition partition)
        {
            using var scope = NewDisposeScope();
            partition.Network.eval();
            return partition.Evaluate(Trainings.Batch(partition, ScalarType.Float64, step: 3, size));
        }
    }

    [Fact]
    public void Evaluate_OfSeveralViews_GivesTheFiguresOfOneDevice()
    {
        using var single = Trainings.Single("vgg11", ScalarType.Float64);
        var expected = Evaluate(single);
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline("vgg11", ScalarType.Float64, group, stages: 2, microBatches: 3);
            return Evaluate(partition);
        }).ShouldAllBe(
            outcome => Math.Abs(outcome.LossSum - expected.LossSum) <= expected.LossSum * Tolerance && outcome.Correct == expected.Correct);

        // Two views of a sample: the picture and its negative.
        static EvaluationOutcome Evaluate(ITrainingPartition partition)
        {
            using var scope = NewDisposeScope();
            partition.Network.eval();
            var batch = Trainings.Batch(partition, ScalarType.Float64, step: 3, size: 10);
            var shape = batch.Images.shape;
            var views = stack([batch.Images, batch.Images.neg()], 1).reshape(2 * shape[0], shape[1], shape[2], shape[3]);
            return partition.Evaluate(batch with { Images = views, Views = 2 });
        }
    }

    [Theory]
    [InlineData(6)]
    [InlineData(2)]
    public void ForwardBackward_HoldsNoMoreMicroBatchesThanThereAreStagesFromItOn(int microBatches)
    {
        using var ranks = new Ranks("aaaa");
        var held = ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline("lenet5", ScalarType.Float32, group, stages: 4, microBatches);
            Trainings.Train(partition, ScalarType.Float32, steps: 1);
            return partition.MostInFlight;
        });

        held.ShouldBe([.. Enumerable.Range(0, 4).Select(stage => Math.Min(4 - stage, microBatches))]);
    }

    [Fact]
    public void ForwardBackward_OfSeveralPipelines_SumsGradientsWhileTheLastMicroBatchGoesBack()
    {
        using var ranks = new Ranks("aaaa");
        var sent = ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline("vgg11", ScalarType.Float32, group, stages: 2, microBatches: 3, bucketBytes: 1 << 10);
            Trainings.Train(partition, ScalarType.Float32, steps: 1);
            return partition.SentDuringBackward;
        });

        // Nothing comes back to the first convolution, which may be all that the first stages have.
        (sent[1], sent[3]).ShouldSatisfyAllConditions(last => last.Item1.ShouldBeGreaterThan(0), last => last.Item2.ShouldBeGreaterThan(0));
    }

    [Fact]
    public void Parameters_OfAllStages_MakeUpTheUndividedNetAsItWasInitialised()
    {
        using var single = Trainings.Single("mobilenet_v2", ScalarType.Float32);
        using var ranks = new Ranks("aaaa");
        var stages = ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline("mobilenet_v2", ScalarType.Float32, group, stages: 2, microBatches: 2);
            var elsewhere = partition.Network.HeldElsewhere;
            var held = partition.Parameters.Select(p => p.Name).Concat(partition.Network.Buffers().Select(b => b.Name)).ToList();
            return (Parameters: partition.Parameters.Select(p => (p.Name, p.IsOwner, Values: Trainings.Values(p.Tensor))).ToList(),
                Held: held, Elsewhere: elsewhere);
        });

        stages.Select(stage => stage.Parameters.All(p => p.IsOwner)).ShouldBe([true, true, false, false]);
        var joined = stages[0].Parameters.Concat(stages[1].Parameters).ToDictionary(p => p.Name, p => p.Values);
        joined.Keys.ShouldBe(single.Parameters.Select(p => p.Name), ignoreOrder: true);
        foreach (var parameter in single.Parameters)
            joined[parameter.Name].ShouldBe(Trainings.Values(parameter.Tensor), parameter.Name);
        stages[0].Elsewhere.ShouldBe(stages[1].Held, ignoreOrder: true);
        stages[1].Elsewhere.ShouldBe(stages[0].Held, ignoreOrder: true);
    }

    [Theory]
    [InlineData("aaa", 3)]
    public void ForwardBackward_WhenAStageIsLost_ThrowsAndNamesIt(string placement, int stages)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(group =>
        {
            using var partition = Trainings.Pipeline("vgg11", ScalarType.Float32, group, stages, microBatches: 4);
            if (group.Rank != 1)
                Trainings.Train(partition, ScalarType.Float32, steps: 1);
        });

        failures[0].ShouldBeOfType<CollectiveException>().Peer.ShouldBe(1);
        failures[1].ShouldBeNull();
        failures[2].ShouldBeOfType<CollectiveException>().Peer.ShouldBe(1);
    }

    private static void ShouldHaveTheBitsOfOneDevice(
        string network, string placement, int microBatches, int batchSize, ScalarType dtype, int steps)
    {
        using var single = Trainings.Single(network, dtype);
        var expected = Trainings.Train(single, dtype, steps, batchSize, batch => batch with { AccumulationSteps = microBatches });
        expected.Distinct().Count().ShouldBe(steps); // it moves: gradients matter
        var gradients = Trainings.Gradients(single).ToDictionary(g => g.Name, g => g.Values);
        using var ranks = new Ranks(placement);
        var byRank = ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline(network, dtype, group, stages: group.WorldSize, microBatches);
            return (Losses: Trainings.Train(partition, dtype, steps, batchSize, group: group), Gradients: Trainings.Gradients(partition));
        });

        byRank.ShouldAllBe(rank => rank.Losses.SequenceEqual(expected));
        byRank.SelectMany(rank => rank.Gradients).Select(g => g.Name).ShouldBe(gradients.Keys, ignoreOrder: true);
        foreach (var (name, _, values) in byRank.SelectMany(rank => rank.Gradients))
            values.ShouldBe(gradients[name], name);
    }

    private static double[][] TrainOnRanks(string network, string placement, int microBatches, int batchSize)
    {
        using var ranks = new Ranks(placement);
        return ranks.Run(group =>
        {
            using var partition = Trainings.Pipeline(network, ScalarType.Float64, group, stages: 2, microBatches);
            return Trainings.Train(partition, ScalarType.Float64, Steps, batchSize, group: group);
        });
    }

    private static void ShouldFollow(double[][] losses, double[] expected)
    {
        foreach (var rank in losses)
        {
            rank.ShouldBe(losses[0]); // the same on every rank, to the bit
            for (var step = 0; step < expected.Length; step++)
                rank[step].ShouldBe(expected[step], expected[step] * Tolerance, $"step {step}");
        }
    }
}
