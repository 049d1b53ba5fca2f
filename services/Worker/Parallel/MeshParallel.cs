using Cluster.Models;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Parallel;

/// <summary>A mesh of data × model: several copies of a divided network, each copy on its slice of the global batch.</summary>
/// <remarks>
/// Consecutive ranks form a copy (model axis), so that those which talk most are neighbours; ranks with the same part of different copies
/// sum their gradients (data axis). Rank = copy · parts + part.
/// </remarks>
public static class MeshParallel
{
    /// <param name="buildPart">From the seam to the other parts, such as with <see cref="ModelRegistry.CreatePart"/>.</param>
    /// <param name="loss">Of a copy's samples.</param>
    /// <param name="group">All ranks.</param>
    /// <param name="parts">Ranks of a copy; divides the number of ranks.</param>
    /// <param name="options">How gradients travel.</param>
    /// <param name="cancellationToken">Cancels the forming of the axes.</param>
    /// <exception cref="ModelOptionException">The network cannot be split so.</exception>
    public static async Task<DataParallel> CreateAsync(
        Func<ChannelSplit, ImageClassifier> buildPart, SummedLoss loss, ICollectiveGroup group, int parts, GradientOptions options,
        CancellationToken cancellationToken)
    {
        if (parts < 1 || group.WorldSize % parts != 0)
            throw new ArgumentOutOfRangeException(nameof(parts), parts, $"{group.WorldSize} ranks do not make whole copies of {parts}");
        var modelAxis = await group.SplitAsync("model", group.Rank / parts, cancellationToken);
        var dataAxis = await group.SplitAsync("data", group.Rank % parts, cancellationToken);
        var exchange = new ChannelExchange(modelAxis);
        var part = buildPart(ModelParallel.SplitOver(modelAxis, exchange));
        return await DataParallel.CreateAsync(part, loss, dataAxis, options, exchange, [dataAxis, modelAxis], cancellationToken);
    }
}
