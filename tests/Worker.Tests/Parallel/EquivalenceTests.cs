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

    /// <summary>
    /// A float64 sum of the at most 8·28² ≈ 10⁴ terms that make up a gradient here errs by about 10⁴·2⁻⁵³ ≈ 10⁻¹² relative to its terms in the
    /// worst order, and usually by its root, 10⁻¹⁴. Over 50 steps of rate 0.05 a difference grows by at most (1 + 0.05·λ)⁵⁰ with λ the
    /// loss's curvature, here of the order of ten: 10⁹·10⁻¹⁴ at the very worst, 10³ in practice, since the loss falls. 10⁻⁹ lies between.
    /// </summary>
    private const double TrajectoryTolerance = 1e-9;

    [Theory]
    [InlineData("lenet5", "aa")]
    [InlineData("lenet5", "ab")]
    [InlineData("lenet5", "aab")]
    [InlineData("alexnet", "aa")]
    [InlineData("alexnet", "ab")]
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
    public void DataParallel_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string network, string placement) =>
        CompareGradients(network, placement, group => Trainings.Data(network, ScalarType.Float32, group));

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ModelParallel_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string placement) =>
        CompareGradients("alexnet", placement, group => Trainings.Model("alexnet", ScalarType.Float32, group));

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
            return Trainings.Train(partition, ScalarType.Float64, 5, batchSize);
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

    private static EvaluationOutcome Evaluate(ITrainingPartition partition)
    {
        using var scope = NewDisposeScope();
        partition.Network.eval();
        return partition.Evaluate(Trainings.Batch(partition, ScalarType.Float64, step: 3, size: 61));
    }

    private static void CompareTrajectories(string network, string placement, Func<ICollectiveGroup, ITrainingPartition> split)
    {
        using var single = Trainings.Single(network, ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, Steps);
        expected[^5..].Average().ShouldBeLessThan(expected[..5].Average() * 0.9); // it learns: gradients matter
        using var ranks = new Ranks(placement);
        var losses = ranks.Run(group =>
        {
            using var partition = split(group);
            return Trainings.Train(partition, ScalarType.Float64, Steps);
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

    /// <summary>
    /// Against the gradients in float64 from the same (float32) weights. A gradient is a sum of at most n = 8·28² products; their roundings
    /// (2⁻²⁴ each, relative) add up like a random walk, to √n·2⁻²⁴ ≈ 5·10⁻⁶ of the largest. To that comes four times what one device in
    /// float32 errs itself, which measures how far roundings of earlier layers are amplified here. A wrong factor, a missing share or a
    /// wrong slice is an error of the order of one.
    /// </summary>
    private static void CompareGradients(string network, string placement, Func<ICollectiveGroup, ITrainingPartition> split)
    {
        using var single = Trainings.Single(network, ScalarType.Float32);
        using var exact = Trainings.Single(network, ScalarType.Float64);
        using (no_grad())
        {
            foreach (var (wide, narrow) in exact.Parameters.Zip(single.Parameters))
                wide.Tensor.copy_(narrow.Tensor.to(ScalarType.Float64));
        }

        var float32 = StepGradients(single, ScalarType.Float32).ToDictionary(g => g.Name, g => g.Values);
        var float64 = StepGradients(exact, ScalarType.Float64).ToDictionary(g => g.Name, g => g.Values);
        using var ranks = new Ranks(placement);
        var byRank = ranks.Run(group =>
        {
            using var partition = split(group);
            return StepGradients(partition, ScalarType.Float32);
        });
        foreach (var (name, offset, values) in byRank.SelectMany(g => g))
        {
            // Rows of the undivided tensor: a part begins at offset[0] rows and is whole in the other dims.
            var rowLength = float64[name].Length / exact.Parameters.Single(p => p.Name == name).GlobalShape[0];
            var reference = float64[name].AsSpan((int)(offset[0] * rowLength), values.Length).ToArray();
            var largest = float64[name].Max(Math.Abs);
            var ownError = float32[name].Zip(float64[name], (a, b) => Math.Abs(a - b)).Max();
            var error = values.Zip(reference, (a, b) => Math.Abs(a - b)).Max();
            error.ShouldBeLessThanOrEqualTo((4 * ownError) + (largest * Math.Sqrt(Trainings.BatchSize * 28 * 28) * Math.Pow(2, -24)), name);
            largest.ShouldBeGreaterThan(0, name);
        }
    }

    private static List<(string Name, IReadOnlyList<long> Offset, double[] Values)> StepGradients(ITrainingPartition partition, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        partition.Network.train();
        partition.ForwardBackward(Trainings.Batch(partition, dtype, step: 1));
        return Trainings.Gradients(partition);
    }
}
