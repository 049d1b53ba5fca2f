using Cluster.Contracts.V1;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Parallel;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>One optimizer step of a rank: batch to the device → forward and backward → update.</summary>
/// <param name="hyperparameters">The job's.</param>
/// <param name="partition">That computes.</param>
/// <param name="update">That follows.</param>
/// <param name="placement">Of the batch.</param>
/// <param name="feed">By which a batch gets to its device ahead of its step; null where the device is the CPU.</param>
/// <param name="time">For measuring.</param>
internal sealed class TrainingStep(
    Hyperparameters hyperparameters, ITrainingPartition partition, ParameterUpdate update, BatchPlacement placement, DeviceFeed? feed,
    TimeProvider time)
{
    /// <param name="batch">This rank's samples; still the caller's.</param>
    /// <param name="step">From 0.</param>
    /// <param name="learningRate">This step's.</param>
    /// <param name="news">This rank's.</param>
    /// <param name="next">The next step's batch, if it is ready; still the caller's, and to be kept until that step has ended.</param>
    /// <exception cref="JobMisconfiguredException">Loss or gradient is no longer a number; no parameter has been changed, on any
    /// rank.</exception>
    public StepResult Run(HostBatch batch, long step, double learningRate, RankNews news = default, HostBatch? next = null)
    {
        var share = ForwardBackward(batch, step, next);
        var updating = time.GetTimestamp();
        var agreed = update.Apply(share, batch.GlobalSize, learningRate, step, news);
        return new StepResult(agreed.Outcome, agreed.GradientNorm, agreed.News, time.GetElapsedTime(updating));
    }

    /// <summary>The step without its update: leaves the gradients.</summary>
    public StepShare ForwardBackward(HostBatch batch, long step, HostBatch? next = null)
    {
        using var scope = NewDisposeScope(); // ends the batch's tensors
        var placed = placement.Place(batch, step, feed);
        if (next is not null)
            feed?.Begin(next);
        return partition.ForwardBackward(placed with { AccumulationSteps = Math.Max(1, hyperparameters.AccumulationSteps) });
    }
}

/// <param name="Outcome">Over the global batch.</param>
/// <param name="GradientNorm">Before clipping.</param>
/// <param name="News">Of all ranks.</param>
/// <param name="Update">Time from the gradients to the parameters.</param>
internal readonly record struct StepResult(StepOutcome Outcome, double GradientNorm, RankNews News, TimeSpan Update);
