using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Telemetry;
using Cluster.Worker.Training.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>From a step's gradients to its parameters: all ranks agree → is it finite → clip → optimizer → running average.</summary>
internal sealed class ParameterUpdate(
    Hyperparameters hyperparameters, ITrainingPartition partition, IOptimizer optimizer, WeightAverage? average, ICollectiveGroup group)
{
    /// <summary>PyTorch's clip_grad_norm_ adds it to the norm that it divides by.</summary>
    private const double ClipEpsilon = 1e-6;

    /// <param name="share">This rank's, of the step whose gradients are there.</param>
    /// <param name="globalBatchSize">Samples of the step.</param>
    /// <param name="learningRate">This step's.</param>
    /// <param name="step">From 0.</param>
    /// <param name="news">This rank's.</param>
    /// <exception cref="JobMisconfiguredException">Loss or gradient is not finite; nothing has been changed, on any rank.</exception>
    public AgreedStep Apply(StepShare share, int globalBatchSize, double learningRate, long step, RankNews news = default)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var agreed = Agree(share, globalBatchSize, news);
        if (!double.IsFinite(agreed.Outcome.Loss) || !double.IsFinite(agreed.GradientNorm))
        {
            WorkerTelemetry.LossNotFinite.Add(1);
            throw double.IsFinite(agreed.Outcome.Loss) ? NotFinite(agreed.GradientNorm, step) : Diverged(agreed.Outcome.Loss, step);
        }

        if (hyperparameters.ClipNorm is > 0 and var longest && agreed.GradientNorm + ClipEpsilon > longest)
            Scale(longest / (agreed.GradientNorm + ClipEpsilon));
        optimizer.Step(learningRate, step);
        average?.Update(step);
        return agreed;
    }

    /// <summary>All that ranks tell each other once a step, in one exchange.</summary>
    private AgreedStep Agree(StepShare share, int globalBatchSize, RankNews news)
    {
        var gradients = partition.GradientShare.ToLookup(FusedUpdate.IsPlain);
        // Whole numbers, all but two: float64 adds them exactly.
        Span<double> sums =
        [
            gradients[true].Sum(FusedUpdate.SumOfSquares) + SumOfSquares([.. gradients[false]]), share.LossSum, share.Correct,
            news.StopRequests, news.BrokenPictures, news.UnfinishedCheckpoints, news.PaceRequests,
        ];
        if (group.WorldSize > 1)
            group.AllReduce(sums, "step");
        return new AgreedStep(
            new StepOutcome(sums[1] / globalBatchSize, (long)sums[2], share.Times), Math.Sqrt(sums[0]),
            new RankNews((long)sums[3], (long)sums[4], (long)sums[5], (long)sums[6]));
    }

    /// <summary>By libtorch's operators. A GPU is waited for once.</summary>
    private static double SumOfSquares(IReadOnlyList<Tensor> gradients) =>
        gradients.Count == 0
            ? 0
            : stack(gradients.Select(gradient => gradient.norm().to(ScalarType.Float64))).square().sum().item<double>();

    private void Scale(double factor)
    {
        using Scalar scale = factor;
        foreach (var gradient in partition.LocalGradient)
            gradient.mul_(scale);
    }

    private JobMisconfiguredException Diverged(double loss, long step) => new(
        $"the loss is {loss} at step {step + 1}: training has diverged and would again from its checkpoint; "
        + $"lower hyperparameters.optimizer.learningRate (now {hyperparameters.Optimizer.LearningRate}) or raise "
        + $"hyperparameters.schedule.warmupEpochs (now {hyperparameters.Schedule.WarmupEpochs})");

    private JobMisconfiguredException NotFinite(double norm, long step) =>
        new($"the gradient's norm is {norm} at step {step + 1}, and a step along it would ruin the weights; "
            + "it would come again from any checkpoint: "
            + $"lower hyperparameters.optimizer.learningRate (now {hyperparameters.Optimizer.LearningRate}), "
            + $"or limit earlier gradients by hyperparameters.clipNorm (now {hyperparameters.ClipNorm})");
}

/// <summary>A step as all ranks see it.</summary>
/// <param name="Outcome">Over the global batch.</param>
/// <param name="GradientNorm">Of the whole network, whatever the split, before it was clipped.</param>
/// <param name="News">Of all ranks.</param>
internal readonly record struct AgreedStep(StepOutcome Outcome, double GradientNorm, RankNews News);
