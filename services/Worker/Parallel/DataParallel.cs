using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>
/// A replica of the network on every rank, each on its slice of the global batch; gradients are summed over the ranks while backward still
/// runs.
/// </summary>
public sealed class DataParallel : ITrainingPartition
{
    private readonly ReplicaSteps _steps;

    private DataParallel(ReplicaSteps steps) => _steps = steps;

    public ImageClassifier Network => _steps.Network;

    public IReadOnlyList<LocalParameter> Parameters => _steps.Buckets.Parameters;

    /// <inheritdoc/>
    public RankStatistics? OwnStatistics => _steps.OwnStatistics;

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> LocalGradient => _steps.Buckets.Summed;

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> GradientShare => _steps.Buckets.Share;

    FlatGradients? ITrainingPartition.FlatGradients => _steps.Buckets;

    /// <summary>Buckets that were under way before backward ended, in the last step; for tests of the overlap.</summary>
    internal int SentDuringBackward => _steps.SentDuringBackward;

    internal GradientBuckets Buckets => _steps.Buckets;

    /// <summary>Makes the gradients' buckets, in shared memory where the ranks share a node.</summary>
    /// <param name="network">This rank's replica.</param>
    /// <param name="loss">Of this rank's samples.</param>
    /// <param name="group">The ranks that share the batch.</param>
    /// <param name="options">How gradients travel.</param>
    /// <param name="syncBatchNorm">
    /// Whether batch normalisation is by the statistics of the whole batch, as on one device. Otherwise each rank normalises by its own
    /// slice's, and running statistics are averaged where they are needed.
    /// </param>
    /// <param name="cancellationToken">Cancels the reservation of memory.</param>
    /// <param name="inBFloat16">Whether it computes in bfloat16, with its float32 parameters as masters, whose float32 gradients are
    /// summed.</param>
    /// <param name="shardGradients">Whether each rank gets the sum of its share of the gradients alone, for a divided optimizer.</param>
    /// <exception cref="NotSupportedException">The network cannot be split by data here; the message says why and what to do.</exception>
    public static async Task<DataParallel> CreateAsync(
        ImageClassifier network, SummedLoss loss, ICollectiveGroup group, GradientOptions options, bool syncBatchNorm,
        CancellationToken cancellationToken, bool inBFloat16 = false, bool shardGradients = false)
    {
        var masters = inBFloat16 ? MasterWeights.Narrow(network) : MasterWeights.None;
        var parameters = masters.Of(LocalParameters.Of(network, isOwner: group.Rank == 0));
        LocalParameters.RequireReachable(parameters, group);
        var setup = new ReplicaSetup(options, syncBatchNorm) { Masters = masters, ShardsGradients = shardGradients };
        return new DataParallel(await ReplicaSteps.CreateAsync(network, parameters, loss, group, setup, cancellationToken));
    }

    public SampleRange LocalSamples(int globalBatchSize) => _steps.LocalSamples(globalBatchSize);

    public StepShare ForwardBackward(TrainingBatch batch) => _steps.ForwardBackward(batch);

    public EvaluationOutcome Evaluate(TrainingBatch batch) => _steps.Evaluate(batch);

    public void Dispose() => _steps.Dispose();
}
