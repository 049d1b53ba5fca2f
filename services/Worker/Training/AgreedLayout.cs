using System.Globalization;
using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;

namespace Cluster.Worker.Training;

/// <summary>
/// The layout of images that a run takes where its job leaves it open: what is quicker on its processors, measured before the first
/// step and kept with the run.
/// </summary>
internal static partial class AgreedLayout
{
    /// <summary>
    /// Of a pass, what the network's unusual layout must save: less may be a busy machine's noise, and one job should not come out in
    /// other bits from run to run for that.
    /// </summary>
    private const double LeastSaving = 0.05;

    /// <summary>Whether a pixel's channels lie together. A call on every rank, which all take the same decision.</summary>
    public static bool IsChannelsLast(
        JobSpec spec, ITrainingPartition partition, ICollectiveGroup group, MeasureLayouts measure, ILogger logger,
        CancellationToken cancellationToken)
    {
        var samples = partition.LocalSamples(spec.Hyperparameters.GlobalBatchSize).Count;
        var passes = Math.Max(1, spec.Hyperparameters.AccumulationSteps);
        // All at once, as they will train: neighbours share caches and memory.
        var own = measure(spec, partition.Network, (samples + passes - 1) / passes, cancellationToken);
        NativeHeap.Trim();
        var all = new LayoutTimes[group.WorldSize];
        group.AllGather<double>([own.Contiguous, own.ChannelsLast], MemoryMarshal.Cast<LayoutTimes, double>(all.AsSpan()), "layout");
        var (channelsLast, reason) = Decide(all, ModelRegistry.PrefersChannelsLast(spec.Model.Name));
        if (group.Rank == 0)
            LogDecision(logger, reason);
        return channelsLast;
    }

    /// <summary>The decision and why.</summary>
    /// <param name="ranks">Of each rank.</param>
    /// <param name="usuallyChannelsLast">What suits the network on most processors.</param>
    internal static (bool ChannelsLast, string Reason) Decide(IReadOnlyList<LayoutTimes> ranks, bool usuallyChannelsLast)
    {
        // Ranks wait for each other at every step.
        var (contiguous, channelsLast) = (ranks.Max(rank => rank.Contiguous), ranks.Max(rank => rank.ChannelsLast));
        var (usual, other) = usuallyChannelsLast ? (channelsLast, contiguous) : (contiguous, channelsLast);
        var takesOther = other < (1 - LeastSaving) * usual;
        var isTooLittle = other < usual && !takesOther;
        var decision = usuallyChannelsLast != takesOther;
        return (decision, string.Create(
            CultureInfo.InvariantCulture,
            $"{(decision ? "channels-last" : "contiguous")}: a pass takes {1000 * channelsLast:F1} ms channels-last and "
            + $"{1000 * contiguous:F1} ms contiguous on the slowest rank{(isTooLittle ? $", which is not {LeastSaving:P0} less" : "")}"));
    }

    [LoggerMessage(LogLevel.Information, "Images lie {Decision}")]
    private static partial void LogDecision(ILogger logger, string decision);
}
