using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>A mesh of data × model: several copies of a divided network, each copy on its slice of the global batch.</summary>
/// <remarks>
/// Consecutive ranks form a copy (model axis), so that those which talk most are neighbours; ranks with the same part of different copies
/// sum their gradients (data axis). Rank = copy · parts + part.
/// </remarks>
public sealed class MeshParallel : ITrainingPartition
{
    private readonly ReplicaSteps _steps; // over the data axis
    private readonly ChannelExchange _exchange; // over the model axis
    private readonly ICollectiveGroup _dataAxis;
    private readonly ICollectiveGroup _modelAxis;

    private MeshParallel(ReplicaSteps steps, ChannelExchange exchange, ICollectiveGroup dataAxis, ICollectiveGroup modelAxis) =>
        (_steps, _exchange, _dataAxis, _modelAxis) = (steps, exchange, dataAxis, modelAxis);

    public ImageClassifier Network => _steps.Network;

    public IReadOnlyList<LocalParameter> Parameters => _steps.Buckets.Parameters;

    /// <inheritdoc/>
    public RankStatistics? OwnStatistics => _steps.OwnStatistics;

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> LocalGradient => _steps.Buckets.Summed;

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> GradientShare => _steps.Buckets.Share;

    FlatGradients? ITrainingPartition.FlatGradients => _steps.Buckets;

    /// <param name="buildPart">From the seam to the other parts, such as with <see cref="ModelRegistry.CreatePart"/>.</param>
    /// <param name="loss">Of a copy's samples.</param>
    /// <param name="group">All ranks.</param>
    /// <param name="parts">Ranks of a copy; divides the number of ranks.</param>
    /// <param name="options">How gradients travel.</param>
    /// <param name="cancellationToken">Cancels the forming of the axes.</param>
    /// <exception cref="ModelOptionException">The network cannot be split so.</exception>
    public static async Task<MeshParallel> CreateAsync(
        Func<ChannelSplit, ImageClassifier> buildPart, SummedLoss loss, ICollectiveGroup group, int parts, GradientOptions options,
        CancellationToken cancellationToken)
    {
        if (parts < 1 || group.WorldSize % parts != 0)
            throw new ArgumentOutOfRangeException(nameof(parts), parts, $"{group.WorldSize} ranks do not make whole copies of {parts}");
        var modelAxis = await group.SplitAsync("model", group.Rank / parts, cancellationToken);
        var dataAxis = await group.SplitAsync("data", group.Rank % parts, cancellationToken);
        var exchange = new ChannelExchange(modelAxis);
        var part = buildPart(ModelParallel.SplitOver(modelAxis, exchange));
        var parameters = LocalParameters.Of(part, isOwner: dataAxis.Rank == 0);
        LocalParameters.RequireReachable(parameters, dataAxis);
        var setup = new ReplicaSetup(options, SyncBatchNorm: false) { Exchanges = [exchange] };
        var steps = await ReplicaSteps.CreateAsync(part, parameters, loss, dataAxis, setup, cancellationToken);
        return new MeshParallel(steps, exchange, dataAxis, modelAxis);
    }

    public SampleRange LocalSamples(int globalBatchSize) => _steps.LocalSamples(globalBatchSize);

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        var share = _steps.ForwardBackward(batch);
        return _exchange.IsFirst ? share : StepShare.None(share.Times); // the parts of a copy all have its loss
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        var outcome = _steps.Evaluate(batch);
        Span<double> figures = [outcome.LossSum, outcome.Correct];
        _exchange.Agree(figures);
        return new EvaluationOutcome(figures[0], (long)figures[1]);
    }

    public void Dispose()
    {
        _steps.Dispose();
        _dataAxis.Dispose();
        _modelAxis.Dispose();
    }
}
