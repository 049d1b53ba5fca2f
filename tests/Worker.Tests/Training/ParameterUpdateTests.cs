using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training;

public sealed class ParameterUpdateTests
{
    private const double Rate = 0.1;

    [Theory]
    [InlineData(0.25)]
    [InlineData(4)]
    [InlineData(0)]
    public void Apply_ScalesTheWholeGradientDownToTheClipNorm(double clipToNorm) => OnOneRank(group =>
    {
        using var scope = NewDisposeScope();
        using var partition = Trainings.Single("lenet5", ScalarType.Float64);
        var share = partition.ForwardBackward(Trainings.Batch(partition, ScalarType.Float64, step: 0));
        var gradients = Trainings.Gradients(partition);
        var weights = Weights(partition);
        var norm = Math.Sqrt(gradients.Sum(g => g.Values.Sum(v => v * v)));
        var clipNorm = clipToNorm * norm;

        var agreed = Update(partition, group, clipNorm).Apply(share, Trainings.BatchSize, Rate, 0);
        agreed.GradientNorm.ShouldBe(norm, 1e-12 * norm);
        (agreed.Outcome.Loss, agreed.Outcome.Correct).ShouldBe((share.LossSum / Trainings.BatchSize, share.Correct));

        // PyTorch's clip_grad_norm_: max_norm / (norm + 1e-6), if below 1.
        var factor = clipNorm == 0 ? 1 : Math.Min(1, clipNorm / (norm + 1e-6));
        foreach (var (name, _, values) in gradients)
            Weights(partition)[name].ShouldBe(weights[name].Zip(values, (w, g) => w - (Rate * factor * g)), 1e-12, name);
    });

    [Theory]
    [InlineData(Parallelism.Data)]
    [InlineData(Parallelism.Model)]
    public void Apply_InEverySplit_MeasuresTheWholeGradient(Parallelism parallelism)
    {
        using var single = Trainings.Single("alexnet", ScalarType.Float64);
        var expected = 0.0;
        OnOneRank(group => expected = MeasuredNorm(single, group));
        using var ranks = new Ranks("aa");

        var norms = ranks.Run(group =>
        {
            using var partition = Split(parallelism, group);
            return MeasuredNorm(partition, group);
        });

        expected.ShouldBeGreaterThan(0);
        norms.ShouldAllBe(norm => Math.Abs(norm - expected) <= 1e-10 * expected);
    }

    [Theory]
    [InlineData(Parallelism.Data, null)]
    [InlineData(Parallelism.Model, 1)]
    public void Apply_OfAGradientThatIsNotFinite_EndsEveryRankBeforeAnyWeightChanges(Parallelism parallelism, int? poisonedRank)
    {
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var partition = Split(parallelism, group);
            var share = partition.ForwardBackward(Trainings.Batch(partition, ScalarType.Float64, step: 0));
            var weights = Weights(partition);
            // Replicas have the same sums; of a divided network one part may be alone.
            if (group.Rank == (poisonedRank ?? group.Rank))
            {
                using Scalar notANumber = double.NaN;
                partition.Parameters[3].Tensor.grad!.mul_(notANumber);
            }

            Should.Throw<JobMisconfiguredException>(() => Update(partition, group, clipNorm: 1).Apply(share, Trainings.BatchSize, Rate, 6))
                .Message.ShouldBe(
                    "the gradient's norm is NaN at step 7, and a step along it would ruin the weights; "
                        + "it would come again from any checkpoint: "
                    + "lower hyperparameters.optimizer.learningRate (now 0.1), or limit earlier gradients by "
                    + "hyperparameters.clipNorm (now 1)");

            foreach (var (name, values) in Weights(partition))
                values.ShouldBe(weights[name], name);
        });
    }

    [Fact]
    public void Average_FollowsTheWeightsAndStandsInForThem() => OnOneRank(group =>
    {
        using var scope = NewDisposeScope();
        using var partition = Trainings.Single("lenet5", ScalarType.Float64);
        using var average = new WeightAverage(partition.Parameters, partition.Network, decay: 0.25);
        var name = partition.Parameters[0].Name;
        var expected = Weights(partition)[name];
        for (var step = 0; step < 3; step++)
        {
            var share = partition.ForwardBackward(Trainings.Batch(partition, ScalarType.Float64, step));
            Update(partition, group, clipNorm: 0, average).Apply(share, Trainings.BatchSize, Rate, step);
            var decay = Math.Min(0.25, (2.0 + step) / (11.0 + step));
            expected = [.. expected.Zip(Weights(partition)[name], (a, w) => (decay * a) + ((1 - decay) * w))];
        }

        var current = Weights(partition)[name];
        Trainings.Values(average.Of(name)).ShouldBe(expected, 1e-14);
        using (average.InPlace())
            Weights(partition)[name].ShouldBe(expected, 1e-14);
        Weights(partition)[name].ShouldBe(current);
        Trainings.Values(average.Of(name)).ShouldBe(expected, 1e-14);
        current.ShouldNotBe(expected);
    });

    private static void OnOneRank(Action<ICollectiveGroup> body)
    {
        using var ranks = new Ranks("a");
        ranks.Run(body);
    }

    private static ITrainingPartition Split(Parallelism parallelism, ICollectiveGroup group) => parallelism == Parallelism.Data
        ? Trainings.Data("alexnet", ScalarType.Float64, group)
        : Trainings.Model("alexnet", ScalarType.Float64, group);

    private static double MeasuredNorm(ITrainingPartition partition, ICollectiveGroup group)
    {
        using var scope = NewDisposeScope();
        var share = partition.ForwardBackward(Trainings.Batch(partition, ScalarType.Float64, step: 0));
        return Update(partition, group, clipNorm: 0).Apply(share, Trainings.BatchSize, Rate, 0).GradientNorm;
    }

    private static ParameterUpdate Update(
        ITrainingPartition partition, ICollectiveGroup group, double clipNorm, WeightAverage? average = null)
    {
        var hyperparameters = new Hyperparameters
        {
            ClipNorm = clipNorm,
            Optimizer = new OptimizerSpec { Name = "sgd", LearningRate = Rate },
        };
        return new ParameterUpdate(
            hyperparameters, partition, OptimizerFactory.Create(hyperparameters.Optimizer, partition.Parameters), average, group);
    }

    private static Dictionary<string, double[]> Weights(ITrainingPartition partition) =>
        partition.Parameters.ToDictionary(p => p.Name, p => Trainings.Values(p.Tensor));
}
