using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class ShardedOptimizerTests
{
    private const int Steps = 3;

    [Theory]
    [InlineData("aa", 64 << 10)]
    [InlineData("aab", 1 << 10)]
    [InlineData("aaa", 1 << 30)]
    public void State_IsDividedOverTheRanksWithoutGapOrOverlap(string placement, int bucketBytes)
    {
        using var ranks = new Ranks(placement);
        var shares = ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group, bucketBytes, shardGradients: true);
            var spec = new OptimizerSpec { Name = "adam", Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8 };
            using var optimizer = OptimizerFactory.Create(spec, partition);
            var elements = optimizer.State.SelectMany(ElementsOf).ToList();
            var whole = partition.Parameters.SelectMany(p => Enumerable.Range(0, (int)p.Tensor.numel()).Select(i => (p.Name, i))).ToList();
            return (Elements: elements, Whole: whole);
        });

        var expected = shares[0].Whole;
        foreach (var slot in (string[])["exp_avg", "exp_avg_sq"])
        {
            var all = shares.SelectMany(share => share.Elements).Where(element => element.Slot == slot)
                .Select(element => (element.Name, element.Index)).ToList();
            all.Count.ShouldBe(expected.Count);
            all.ToHashSet().SetEquals(expected).ShouldBeTrue();
        }

        shares.ShouldAllBe(share => share.Elements.Count < 2 * expected.Count * 1.1 / placement.Length);
    }

    /// <summary>
    /// Weights and norms, with gradients clipped in every step: whatever the type, the optimizer, the placement, and how shares fall.
    /// </summary>
    [Theory]
    [InlineData("aa", "sgd", ScalarType.Float32, 64 << 10)]
    [InlineData("aaa", "adamw", ScalarType.Float32, 1 << 10)]
    [InlineData("aab", "sgd", ScalarType.Float64, 1 << 10)]
    [InlineData("abc", "rmsprop", ScalarType.Float64, 64 << 10)]
    [InlineData("aabb", "adam", ScalarType.Float32, 1 << 30)]
    public void Step_LeavesTheWeightsOfAnUndividedOptimizerOnEveryRankToTheBit(
        string placement, string name, ScalarType dtype, int bucketBytes)
    {
        using var ranks = new Ranks(placement);
        var results = ranks.Run(group =>
        {
            using var sharded = Trainings.Data("lenet5", dtype, group, bucketBytes, shardGradients: true);
            using var whole = Trainings.Data("lenet5", dtype, group, bucketBytes);
            return (Sharded: Train(sharded, group, name, dtype), Whole: Train(whole, group, name, dtype));
        });

        foreach (var (sharded, whole) in results)
        {
            sharded.Norms.ShouldBe(whole.Norms);
            sharded.Weights.ShouldBe(whole.Weights);
            sharded.Weights.ShouldBe(results[0].Sharded.Weights);
        }
    }

    [Theory]
    [InlineData("aa", true)]
    [InlineData("ab", false)]
    public void ForwardBackward_SendsShardedBucketsOffWhileBackwardStillRuns(string placement, bool shared)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group, bucketBytes: 1024, shardGradients: true);
            Train(partition, group, "sgd", ScalarType.Float32);
            partition.Buckets.IsShared.ShouldBe(shared);
            partition.SentDuringBackward.ShouldBeGreaterThan(partition.Buckets.Count / 2);
        });
    }

    /// <summary>The sums of others' shares are nobody's: that is what makes the exchange half of an all-reduce's.</summary>
    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ForwardBackward_SumsOwnSharesOnly(string placement)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var sharded = Trainings.Data("lenet5", ScalarType.Float32, group, shardGradients: true);
            using var whole = Trainings.Data("lenet5", ScalarType.Float32, group);
            // One after the other: in shared memory both have their buckets in the same place.
            var own = Gradients(sharded);
            var sums = Gradients(whole);
            var mine = Enumerable.Range(0, sharded.Buckets.Count).Select(sharded.Buckets.ShareOf)
                .SelectMany(share => Enumerable.Range((int)share.Start, (int)share.Count)).ToHashSet();
            mine.ShouldAllBe(i => own[i] == sums[i]);
            Enumerable.Range(0, sums.Length).Count(i => !mine.Contains(i) && own[i] != sums[i]).ShouldBeGreaterThan(sums.Length / 4);
        });
    }

    [Fact]
    public void Create_OfAnOptimizerThatMeasuresWholeTensors_IsRefused()
    {
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group, shardGradients: true);
            var lars = new OptimizerSpec { Name = "lars", TrustCoefficient = 0.01 };
            Should.Throw<JobMisconfiguredException>(() => OptimizerFactory.Create(lars, partition));
        });
    }

    /// <summary>Those of the parameter that a state has, by their places in the whole tensor.</summary>
    private static IEnumerable<(string Slot, string Name, int Index)> ElementsOf(OptimizerState state)
    {
        var (parameter, slot, tensor) = state;
        parameter.IsOwner.ShouldBeTrue();
        Shapes.Contains(parameter.GlobalShape, parameter.Offset, tensor.shape).ShouldBeTrue(parameter.Name);
        return Shapes.SharedRuns(parameter.Offset, tensor.shape, new long[tensor.dim()], parameter.GlobalShape)
            .SelectMany(run => Enumerable.Range((int)run.Target, (int)run.Count)).Select(i => (slot, parameter.Name, i));
    }

    private static double[] Gradients(DataParallel partition)
    {
        partition.ForwardBackward(Trainings.Batch(partition, ScalarType.Float32, step: 0));
        return Trainings.Values(partition.Buckets.Flat);
    }

    private static (double[] Weights, double[] Norms) Train(DataParallel partition, ICollectiveGroup group, string name, ScalarType dtype)
    {
        var spec = new OptimizerSpec
        {
            Name = name,
            Momentum = 0.9,
            WeightDecay = 1e-2,
            Nesterov = true,
            Beta1 = 0.9,
            Beta2 = 0.99,
            Epsilon = 1e-8,
            Decay = 0.9,
        };
        var hyperparameters = new Hyperparameters { ClipNorm = 0.5, Optimizer = spec };
        using var optimizer = OptimizerFactory.Create(spec, partition);
        var update = new ParameterUpdate(hyperparameters, partition, optimizer, average: null, group);
        var norms = new double[Steps];
        for (var step = 0; step < Steps; step++)
        {
            using var scope = NewDisposeScope();
            var share = partition.ForwardBackward(Trainings.Batch(partition, dtype, step));
            norms[step] = update.Apply(share, Trainings.BatchSize, 0.01, step).GradientNorm;
        }

        norms.ShouldAllBe(norm => norm > 0.5); // it does clip
        return ([.. partition.Parameters.SelectMany(p => Trainings.Values(p.Tensor))], norms);
    }
}
