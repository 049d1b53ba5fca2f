using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>From a step's gradients to its parameters: are they finite → clip → optimizer → running average.</summary>
internal sealed class ParameterUpdate(
    Hyperparameters hyperparameters, ITrainingPartition partition, IOptimizer optimizer, WeightAverage? average, ICollectiveGroup group)
{
    /// <summary>PyTorch's clip_grad_norm_ adds it to the norm that it divides by.</summary>
    private const double ClipEpsilon = 1e-6;

    /// <param name="learningRate">This step's.</param>
    /// <param name="step">From 0.</param>
    /// <param name="news">This rank's, which travel with the gradient's norm.</param>
    /// <returns>The gradient's norm before it was clipped: of the whole network, whatever the split. And all ranks' news.</returns>
    /// <exception cref="JobMisconfiguredException">The gradient is not finite; nothing has been changed, on any rank.</exception>
    public (double GradientNorm, RankNews News) Apply(double learningRate, long step, RankNews news = default)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        (var norm, news) = Agree(news);
        if (!double.IsFinite(norm))
            throw NotFinite(norm, step);
        if (hyperparameters.ClipNorm is > 0 and var longest && norm + ClipEpsilon > longest)
            Scale(longest / (norm + ClipEpsilon));
        optimizer.Step(learningRate, step);
        average?.Update(step);
        return (norm, news);
    }

    /// <summary>Each element of the network has one owner among the ranks, so owned squares add up to the whole's.</summary>
    private (double GradientNorm, RankNews News) Agree(RankNews news)
    {
        var own = partition.Parameters.Where(p => p.IsOwner).Select(Gradient).ToLookup(FusedUpdate.IsPlain);
        // The news are small whole numbers, which float64 adds exactly.
        Span<double> sums =
        [
            own[true].Sum(FusedUpdate.SumOfSquares) + SumOfSquares([.. own[false]]), news.StopRequests, news.BrokenPictures, news.UnfinishedCheckpoints,
        ];
        if (group.WorldSize > 1)
            group.AllReduce(sums, "gradient norm");
        return (Math.Sqrt(sums[0]), new RankNews((long)sums[1], (long)sums[2], (long)sums[3]));
    }

    /// <summary>By libtorch's operators. A GPU is waited for once.</summary>
    private static double SumOfSquares(IReadOnlyList<Tensor> gradients) =>
        gradients.Count == 0 ? 0 : stack(gradients.Select(gradient => gradient.norm().to(ScalarType.Float64))).square().sum().item<double>();

    private void Scale(double factor)
    {
        using Scalar scale = factor;
        foreach (var parameter in partition.Parameters)
            Gradient(parameter).mul_(scale);
    }

    private static Tensor Gradient(LocalParameter parameter) => OptimizerFactory.GradientOf(parameter);

    private JobMisconfiguredException NotFinite(double norm, long step) =>
        new($"the gradient's norm is {norm} at step {step + 1}, and a step along it would ruin the weights; it would come again from any checkpoint: "
            + $"lower hyperparameters.optimizer.learningRate (now {hyperparameters.Optimizer.LearningRate}), or limit earlier gradients by hyperparameters.clipNorm (now {hyperparameters.ClipNorm})");
}
