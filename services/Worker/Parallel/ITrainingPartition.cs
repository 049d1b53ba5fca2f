using Cluster.Models;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>
/// One rank's share of a training run: of the network, of each global batch, or of both. The training loop is the same for every
/// way of splitting; what differs is here.
/// </summary>
/// <remarks>
/// Used by one thread. A network's modules must call each other with <c>call</c>, not <c>forward</c>, or gradients cannot be exchanged
/// while backward still runs. The partition zeroes and owns the parameters' gradients: the loop never calls <c>zero_grad</c>. It owns the
/// network too. Errors of the exchange come out as <see cref="Collectives.CollectiveException"/>.
/// </remarks>
public interface ITrainingPartition : IDisposable
{
    /// <summary>What this rank computes: the whole network, or its part.</summary>
    ImageClassifier Network { get; }

    /// <summary>Which samples of a global batch this rank feeds to its network, as positions in the batch.</summary>
    SampleRange LocalSamples(int globalBatchSize);

    /// <summary>
    /// Forward and backward. Afterwards every local parameter's <c>grad</c> is the gradient of the mean loss over the global batch,
    /// auxiliary heads included, ready for the optimizer (where these are sharded over the ranks, so much of it as is in this rank's
    /// share). Loss and correct predictions are the main output's, and this rank's share of them: what all ranks of the run have adds up to
    /// the global batch's, so that they can travel with whatever else ranks tell each other once a step.
    /// </summary>
    StepShare ForwardBackward(TrainingBatch batch);

    /// <summary>
    /// Forward without gradients, over the samples that <see cref="LocalSamples"/> gives for a batch of
    /// <see cref="TrainingBatch.GlobalBatchSize"/>; sums are over the global batch, the same on every rank. The caller puts the network in
    /// evaluation mode.
    /// </summary>
    EvaluationOutcome Evaluate(TrainingBatch batch);

    /// <summary>Running statistics that ranks keep of their own slices of the batch; null where all hold the same.</summary>
    RankStatistics? OwnStatistics => null;

    /// <summary>The parameters that this rank holds, in the network's order, with their place in the whole network.</summary>
    IReadOnlyList<LocalParameter> Parameters { get; }

    /// <summary>
    /// The gradients that this rank's optimizer goes by, after <see cref="ForwardBackward"/>, in as few tensors as they lie in.
    /// </summary>
    IEnumerable<torch.Tensor> LocalGradient => Parameters.Select(parameter => parameter.Gradient);

    /// <summary>Where the gradients of some parameters, or all, lie for good; null where they are wherever backward leaves them.</summary>
    internal FlatGradients? FlatGradients => null;

    /// <summary>
    /// This rank's share of the network's gradient, after <see cref="ForwardBackward"/>: each of its elements is in the share of one rank
    /// of the run, and there once, so that the squares of all shares add up to the whole's.
    /// </summary>
    IEnumerable<torch.Tensor> GradientShare => Parameters.Where(parameter => parameter.IsOwner).Select(parameter => parameter.Gradient);
}

/// <summary>Positions [Start, Start + Count) of a global batch.</summary>
public readonly record struct SampleRange(int Start, int Count);

/// <summary>What one rank feeds in one step.</summary>
/// <param name="Images">(n · Views, C, H, W): the samples that <see cref="ITrainingPartition.LocalSamples"/> names, in order.</param>
/// <param name="Labels">(n) classes, int64.</param>
/// <param name="GlobalBatchSize">Samples of all ranks together; what the mean is taken over.</param>
/// <param name="Step">Number of the optimizer step, from which per-sample randomness is drawn.</param>
/// <param name="Views">Images of every sample, next to each other; more than one only in evaluation.</param>
public sealed record TrainingBatch(torch.Tensor Images, torch.Tensor Labels, int GlobalBatchSize, long Step, int Views = 1)
{
    /// <summary>Passes in which a rank works through its samples of a training step.</summary>
    public int AccumulationSteps { get; init; } = 1;
}

/// <summary>A rank's share of a training step's figures.</summary>
/// <param name="LossSum">Sum of the samples' losses.</param>
/// <param name="Correct">Samples whose most likely class is their label.</param>
/// <param name="Times">Where this rank's time went.</param>
public readonly record struct StepShare(double LossSum, long Correct, StepTimes Times)
{
    /// <summary>Of a rank that computes what another one of its part of the batch counts.</summary>
    internal static StepShare None(StepTimes times) => new(0, 0, times);
}

/// <summary>A training step's figures over the global batch.</summary>
/// <param name="Loss">Mean loss.</param>
/// <param name="Correct">Samples whose most likely class is their label.</param>
/// <param name="Times">Where this rank's time went.</param>
public readonly record struct StepOutcome(double Loss, long Correct, StepTimes Times);

/// <summary>An evaluation's figures over the global batch.</summary>
/// <param name="LossSum">Sum of the samples' losses.</param>
/// <param name="Correct">Samples whose most likely class is their label.</param>
public readonly record struct EvaluationOutcome(double LossSum, long Correct);

/// <summary>Where a rank's time went in one step. Communication is the part that computation did not hide.</summary>
public readonly record struct StepTimes(TimeSpan Forward, TimeSpan Backward, TimeSpan Communication);

/// <summary>A parameter as a rank holds it: tensor[offset[d] : offset[d] + shape[d]] of the global one, for every dim d.</summary>
/// <param name="Name">Name in the whole network, as in its state dictionary.</param>
/// <param name="Tensor">The rank's part.</param>
/// <param name="GlobalShape">Shape in the whole network.</param>
/// <param name="Offset">Where the part begins in each dim.</param>
/// <param name="IsOwner">Whether this rank writes it to checkpoints: exactly one rank does for every element.</param>
public sealed record LocalParameter(
    string Name, torch.Tensor Tensor, IReadOnlyList<long> GlobalShape, IReadOnlyList<long> Offset, bool IsOwner)
{
    public IReadOnlyList<long> Shape => Tensor.shape;

    /// <summary>After backward.</summary>
    /// <exception cref="InvalidOperationException">Backward did not reach it.</exception>
    internal torch.Tensor Gradient => Tensor.grad ?? throw new InvalidOperationException($"{Name} has no gradient after backward");
}
