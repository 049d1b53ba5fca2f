using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, §4, variant (a): convolutions,
/// which hold few parameters and take most of the time, are replicated and work on a slice of the batch each; fully connected layers, which
/// hold most parameters, are divided and work on the whole.
/// </summary>
/// <remarks>
/// Where the two meet all ranks gather each other's samples, and at the end each keeps the scores of its own; only the convolutions'
/// gradients are summed: those of the divided layers are of the whole batch already.
/// </remarks>
public sealed class HybridParallel : ITrainingPartition
{
    private readonly ReplicaSteps _steps;
    private readonly IReadOnlyList<LocalParameter> _divided;

    private HybridParallel(ReplicaSteps steps, IReadOnlyList<LocalParameter> parameters)
    {
        (_steps, Parameters) = (steps, parameters);
        _divided = [.. parameters.Except(steps.Buckets.Parameters)];
    }

    public ImageClassifier Network => _steps.Network;

    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <inheritdoc/>
    public RankStatistics? OwnStatistics => _steps.OwnStatistics;

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> LocalGradient => _steps.Buckets.Summed.Concat(_divided.Select(parameter => parameter.Gradient));

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> GradientShare => _steps.Buckets.Share.Concat(_divided.Select(parameter => parameter.Gradient));

    FlatGradients? ITrainingPartition.FlatGradients => _steps.Buckets;

    /// <param name="buildPart">From the seam to the other parts, such as with <see cref="ModelRegistry.CreatePart"/>.</param>
    /// <param name="loss">Of this rank's samples.</param>
    /// <param name="group">The ranks, as many as there are parts.</param>
    /// <param name="options">How gradients travel.</param>
    /// <param name="syncBatchNorm">As in <see cref="DataParallel"/>.</param>
    /// <param name="cancellationToken">Cancels the reservation of memory.</param>
    /// <exception cref="ModelOptionException">The network cannot be split so.</exception>
    public static async Task<HybridParallel> CreateAsync(
        Func<ChannelSplit, ImageClassifier> buildPart, SummedLoss loss, ICollectiveGroup group, GradientOptions options, bool syncBatchNorm,
        CancellationToken cancellationToken)
    {
        var exchange = new ChannelExchange(group);
        var split = new ChannelSplit(
            group.Rank, group.WorldSize,
            x => GatherChannels.apply(x, exchange),
            scores => exchange.OwnSamples(GatherChannels.apply(scores, exchange)))
        {
            GatherSamples = x => GatherSamples.apply(x, exchange),
        };
        var part = buildPart(split);
        var parameters = LocalParameters.Of(part, name => group.Rank == 0 || split.Divides(name));
        LocalParameters.RequireReachable(parameters, group);
        var replicated = parameters.Where(parameter => !split.Divides(parameter.Name)).ToList();
        var setup = new ReplicaSetup(options, syncBatchNorm) { Exchanges = [exchange] };
        return new HybridParallel(await ReplicaSteps.CreateAsync(part, replicated, loss, group, setup, cancellationToken), parameters);
    }

    public SampleRange LocalSamples(int globalBatchSize) => _steps.LocalSamples(globalBatchSize);

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        foreach (var parameter in _divided)
            parameter.Tensor.grad = null;
        return _steps.ForwardBackward(batch);
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch) => _steps.Evaluate(batch);

    public void Dispose() => _steps.Dispose();
}
