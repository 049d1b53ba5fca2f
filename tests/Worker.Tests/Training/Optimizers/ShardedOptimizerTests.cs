using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training.Optimizers;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class ShardedOptimizerTests
{
    [Theory]
    [InlineData("aa")]
    [InlineData("aab")]
    public void State_IsDividedOverTheRanksWithoutGapOrOverlap(string placement)
    {
        using var ranks = new Ranks(placement);
        var shares = ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group);
            using var optimizer = new ShardedOptimizer(
                partition.Parameters, group, rows => new Adam(rows, 0.9, 0.999, 1e-8, 0, decayIsDecoupled: false));
            var rows = optimizer.Parameters
                .SelectMany(p => Enumerable.Range((int)p.Offset[0], (int)p.Shape[0]).Select(row => (p.Name, row))).ToList();
            var whole = partition.Parameters.SelectMany(p => Enumerable.Range(0, (int)p.Shape[0]).Select(row => (p.Name, row))).ToList();
            return (Rows: rows, Whole: whole, StateElements: optimizer.State.Sum(s => s.Tensor.numel()),
                Elements: partition.Parameters.Sum(p => p.Tensor.numel()));
        });

        shares.SelectMany(share => share.Rows).ShouldBe(shares[0].Whole, ignoreOrder: true);
        shares.Sum(share => share.StateElements).ShouldBe(2 * shares[0].Elements); // a mean and a square each
        shares.ShouldAllBe(share => share.StateElements < 2 * shares[0].Elements * 1.2 / placement.Length);
    }

    [Fact]
    public void Step_LeavesTheSameWeightsOnEveryRank()
    {
        using var ranks = new Ranks("aab");
        var weights = ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float64, group);
            using var undivided = Trainings.Data("lenet5", ScalarType.Float64, group);
            using var optimizer = new ShardedOptimizer(partition.Parameters, group, rows => new Sgd(rows, 0.9, 1e-4, nesterov: true));
            using var whole = new Sgd(undivided.Parameters, 0.9, 1e-4, nesterov: true);
            for (var step = 0; step < 3; step++)
            {
                using var scope = NewDisposeScope();
                partition.ForwardBackward(Trainings.Batch(partition, ScalarType.Float64, step));
                optimizer.Step(0.1, step);
                undivided.ForwardBackward(Trainings.Batch(undivided, ScalarType.Float64, step));
                whole.Step(0.1, step);
            }

            return (Sharded: partition.Parameters.SelectMany(p => Trainings.Values(p.Tensor)).ToArray(),
                Whole: undivided.Parameters.SelectMany(p => Trainings.Values(p.Tensor)).ToArray());
        });

        foreach (var (sharded, whole) in weights)
            sharded.ShouldBe(whole); // to the bit
        weights[0].Whole.ShouldBe(weights[2].Whole);
    }
}
