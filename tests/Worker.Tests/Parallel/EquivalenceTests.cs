using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>A run that is split trains as one device does on the joined batch.</summary>
public sealed class EquivalenceTests
{
    private const int Steps = 50;
    private const int ShortSteps = 20;

    /// <summary>
    /// A float64 sum of the at most 8·28² ≈ 10⁴ terms that make up a gradient here errs by about 10⁴·2⁻⁵³ ≈ 10⁻¹² relative to its terms in
    /// the worst order, and usually by its root, 10⁻¹⁴. Over 50 steps of rate 0.05 a difference grows by at most (1 + 0.05·λ)⁵⁰ with λ the
    /// loss's curvature, here of the order of ten: 10⁹·10⁻¹⁴ at the very worst, 10³ in practice, since the loss falls. 10⁻⁹ lies between.
    /// </summary>
    private const double TrajectoryTolerance = 1e-9;

    [Theory]
    [InlineData("lenet5", "aa")]
    [InlineData("lenet5", "ab")]
    [InlineData("lenet5", "aab")]
    [InlineData("alexnet", "aa")]
    [InlineData("alexnet", "ab")]
    [InlineData("resnet18", "aa")]
    [InlineData("vgg11_bn", "aab")]
    public void DataParallel_In50StepsOfFloat64_HasTheLossesOfOneDevice(string network, string placement) =>
        CompareTrajectories(network, placement, group => Trainings.Data(network, ScalarType.Float64, group));

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ModelParallel_In50StepsOfFloat64_HasTheLossesOfOneDevice(string placement) =>
        CompareTrajectories("alexnet", placement, group => Trainings.Model("alexnet", ScalarType.Float64, group));

    [Theory]
    [InlineData("lenet5", "aa")]
    [InlineData("lenet5", "ab")]
    [InlineData("alexnet", "aa")]
    [InlineData("resnet18", "aab")]
    public void DataParallel_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string network, string placement) =>
        StepGradients.ShouldBeThoseOfOneDevice(network, placement, group => Trainings.Data(network, ScalarType.Float32, group));

    [Theory]
    [InlineData("alexnet_owt", "ab")]
    [InlineData("vgg11", "aabb")]
    public void ModelParallel_OfEveryLayer_In20StepsOfFloat64_HasTheLossesOfOneDevice(string network, string placement) =>
        CompareTrajectories(network, placement, group => Trainings.Model(network, ScalarType.Float64, group), ShortSteps);

    [Theory]
    [InlineData("alexnet_owt", "aa")]
    [InlineData("alexnet_owt", "aabb")]
    [InlineData("vgg11_bn", "ab")] // statistics are exchanged beside activations
    public void HybridParallel_In20StepsOfFloat64_HasTheLossesOfOneDevice(string network, string placement) =>
        CompareTrajectories(network, placement, group => Trainings.Hybrid(network, ScalarType.Float64, group), ShortSteps);

    [Theory]
    [InlineData(7, "ab")] // 3 and 4 samples
    [InlineData(1, "aa")] // none for rank 0, whose units the other needs all the same
    public void HybridParallel_OfABatchThatDoesNotDivide_HasTheLossesOfOneDevice(int batchSize, string placement)
    {
        using var single = Trainings.Single("alexnet_owt", ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, 5, batchSize);
        using var ranks = new Ranks(placement);
        var losses = ranks.Run(group =>
        {
            using var partition = Trainings.Hybrid("alexnet_owt", ScalarType.Float64, group);
            return Trainings.Train(partition, ScalarType.Float64, 5, batchSize, group: group);
        });
        foreach (var rank in losses)
            ShouldFollow(rank, expected);
    }

    [Theory]
    [InlineData("alexnet_owt", "aa")]
    [InlineData("vgg11", "aabb")]
    public void ModelParallel_OfEveryLayer_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string network, string placement) =>
        StepGradients.ShouldBeThoseOfOneDevice(network, placement, group => Trainings.Model(network, ScalarType.Float32, group));

    [Theory]
    [InlineData("alexnet_owt", "aabb")]
    [InlineData("vgg11", "ab")]
    public void HybridParallel_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string network, string placement) =>
        StepGradients.ShouldBeThoseOfOneDevice(network, placement, group => Trainings.Hybrid(network, ScalarType.Float32, group));

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ModelParallel_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string placement) =>
        StepGradients.ShouldBeThoseOfOneDevice("alexnet", placement, group => Trainings.Model("alexnet", ScalarType.Float32, group));

    [Theory]
    [InlineData(7, "aaa")] // 2, 2 and 3 samples
    [InlineData(1, "aa")] // none for rank 0
    public void DataParallel_OfABatchThatDoesNotDivide_HasTheLossesOfOneDevice(int batchSize, string placement)
    {
        using var single = Trainings.Single("lenet5", ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, 5, batchSize);
        using var ranks = new Ranks(placement);
        var losses = ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float64, group);
            return Trainings.Train(partition, ScalarType.Float64, 5, batchSize, group: group);
        });
        foreach (var rank in losses)
            ShouldFollow(rank, expected);
    }

    [Fact]
    public void Evaluate_InEverySplit_GivesTheFiguresOfOneDevice()
    {
        using var single = Trainings.Single("alexnet", ScalarType.Float64);
        var expected = Evaluate(single);
        expected.Correct.ShouldBeGreaterThan(0); // or equal counts would say nothing
        using var ranks = new Ranks("ab");
        var outcomes = ranks.Run(group =>
        {
            using var data = Trainings.Data("alexnet", ScalarType.Float64, group);
            using var model = Trainings.Model("alexnet", ScalarType.Float64, group);
            return new[] { Evaluate(data), Evaluate(model) };
        });
        foreach (var outcome in outcomes.SelectMany(o => o))
        {
            outcome.Correct.ShouldBe(expected.Correct);
            outcome.LossSum.ShouldBe(expected.LossSum, Math.Abs(expected.LossSum) * TrajectoryTolerance);
        }
    }

    [Theory]
    [InlineData(61)]
    [InlineData(1)] // none for rank 0
    public void Evaluate_OfANetThatEverySplitDivides_GivesTheFiguresOfOneDevice(int size)
    {
        using var single = Trainings.Single("alexnet_owt", ScalarType.Float64);
        var expected = Evaluate(single, size);
        using var ranks = new Ranks("ab");
        var outcomes = ranks.Run(group =>
        {
            using var model = Trainings.Model("alexnet_owt", ScalarType.Float64, group);
            using var hybrid = Trainings.Hybrid("alexnet_owt", ScalarType.Float64, group);
            return new[] { Evaluate(model, size), Evaluate(hybrid, size) };
        });
        foreach (var outcome in outcomes.SelectMany(o => o))
        {
            outcome.Correct.ShouldBe(expected.Correct);
            outcome.LossSum.ShouldBe(expected.LossSum, Math.Abs(expected.LossSum) * TrajectoryTolerance);
        }
    }

    private static EvaluationOutcome Evaluate(ITrainingPartition partition, int size = 61)
    {
        using var scope = NewDisposeScope();
        partition.Network.eval();
        return partition.Evaluate(Trainings.Batch(partition, ScalarType.Float64, step: 3, size));
    }

    private static void CompareTrajectories(
        string network, string placement, Func<ICollectiveGroup, ITrainingPartition> split, int steps = Steps)
    {
        using var single = Trainings.Single(network, ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, steps);
        expected[^5..].Average().ShouldBeLessThan(expected[..5].Average() * 0.9); // it learns: gradients matter
        using var ranks = new Ranks(placement);
        var losses = ranks.Run(group =>
        {
            using var partition = split(group);
            return Trainings.Train(partition, ScalarType.Float64, steps, group: group);
        });
        foreach (var rank in losses)
        {
            rank.ShouldBe(losses[0]); // the same on every rank, to the bit
            ShouldFollow(rank, expected);
        }
    }

    private static void ShouldFollow(double[] losses, double[] expected)
    {
        losses.Length.ShouldBe(expected.Length);
        for (var step = 0; step < expected.Length; step++)
            losses[step].ShouldBe(expected[step], expected[step] * TrajectoryTolerance, $"step {step}");
    }
}
