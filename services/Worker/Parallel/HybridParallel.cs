using Cluster.Models;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, §4, variant (a): convolutions,
/// which hold few parameters and take most of the time, are replicated and work on a slice of the batch each; fully connected layers, which
/// hold most parameters, are divided and work on the whole.
/// </summary>
/// <remarks>
/// Where the two meet all ranks gather each other's samples, and at the end each keeps the scores of its own; only the convolutions'
/// gradients are summed.
/// </remarks>
public static class HybridParallel
{
    /// <param name="buildPart">From the seam to the other parts, such as with <see cref="ModelRegistry.CreatePart"/>.</param>
    /// <param name="loss">Of this rank's samples.</param>
    /// <param name="group">The ranks, as many as there are parts.</param>
    /// <param name="options">How gradients travel.</param>
    /// <param name="syncBatchNorm">As in <see cref="DataParallel"/>.</param>
    /// <param name="cancellationToken">Cancels the reservation of memory.</param>
    /// <exception cref="ModelOptionException">The network cannot be split so.</exception>
    public static Task<DataParallel> CreateAsync(
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
        return DataParallel.CreateAsync(
            buildPart(split), MasterWeights.None, loss, group, options, syncBatchNorm, split, exchange, cancellationToken);
    }
}
