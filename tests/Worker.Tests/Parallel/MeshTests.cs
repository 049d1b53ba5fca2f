using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>Four ranks as two copies of a network in two parts.</summary>
public sealed class MeshTests
{
    [Theory]
    [InlineData("alexnet", "aaaa", 8, 20)]
    [InlineData("alexnet", "aabb", 7, 5)] // 3 and 4 samples
    [InlineData("vgg11", "aabb", 8, 20)]
    [InlineData("alexnet_owt", "aaaa", 1, 5)] // one copy without samples; a few steps more and the loss is nothing
    public void DataTimesModel_InStepsOfFloat64_HasTheLossesOfOneDevice(string network, string placement, int batchSize, int steps)
    {
        using var single = Trainings.Single(network, ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, steps, batchSize);
        using var ranks = new Ranks(placement);
        var losses = ranks.Run(group =>
        {
            using var partition = Trainings.Mesh(network, ScalarType.Float64, group);
            return Trainings.Train(partition, ScalarType.Float64, steps, batchSize, group: group);
        });

        foreach (var rank in losses)
        {
            rank.ShouldBe(losses[0]); // the same on every rank, to the bit
            for (var step = 0; step < steps; step++)
                rank[step].ShouldBe(expected[step], expected[step] * 1e-9, $"step {step}"); // as in EquivalenceTests
        }
    }

    [Theory]
    [InlineData("alexnet", "aabb")]
    [InlineData("vgg11", "aaaa")]
    public void DataTimesModel_InOneStepOfFloat32_HasTheGradientsOfOneDevice(string network, string placement) =>
        StepGradients.ShouldBeThoseOfOneDevice(network, placement, group => Trainings.Mesh(network, ScalarType.Float32, group));

    [Fact]
    public void Evaluate_GivesTheFiguresOfOneDevice()
    {
        using var single = Trainings.Single("alexnet", ScalarType.Float64);
        var expected = Evaluate(single);
        using var ranks = new Ranks("aaaa");
        foreach (var outcome in ranks.Run(group =>
        {
            using var partition = Trainings.Mesh("alexnet", ScalarType.Float64, group);
            return Evaluate(partition);
        }))
        {
            outcome.Correct.ShouldBe(expected.Correct);
            outcome.LossSum.ShouldBe(expected.LossSum, Math.Abs(expected.LossSum) * 1e-9);
        }
    }

    [Fact]
    public void Parameters_AreOwnedOnce()
    {
        using var single = Trainings.Single("vgg11", ScalarType.Float32);
        using var ranks = new Ranks("aaaa");
        var owned = ranks.Run(group =>
        {
            using var partition = Trainings.Mesh("vgg11", ScalarType.Float32, group);
            return partition.Parameters.Where(p => p.IsOwner).Select(p => (p.Name, Row: p.Offset[0], Elements: p.Tensor.numel())).ToList();
        });

        owned.SelectMany(p => p).DistinctBy(p => (p.Name, p.Row)).Sum(p => p.Elements)
            .ShouldBe(single.Parameters.Sum(p => p.Tensor.numel()));
        owned.Select(p => p.Count > 0).ShouldBe([true, true, false, false]);
    }

    private static EvaluationOutcome Evaluate(ITrainingPartition partition)
    {
        using var scope = NewDisposeScope();
        partition.Network.eval();
        return partition.Evaluate(Trainings.Batch(partition, ScalarType.Float64, step: 3, size: 61));
    }
}
