using System.Globalization;
using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;

namespace Cluster.Worker.Training;

/// <summary>How a run's passes are computed, on which its bits depend.</summary>
/// <param name="ChannelsLast">Whether a pixel's channels lie together.</param>
/// <param name="Kernels">Whether by kernels of our own, where the network has some, or by libtorch's operators alone.</param>
internal readonly record struct PassChoice(bool ChannelsLast, bool Kernels);

/// <summary>
/// The layout of images, and whether kernels of our own are used, where a run's job leaves it open: what is quicker on its processors,
/// measured before the first step and kept with the run.
/// </summary>
internal static partial class AgreedLayout
{
    /// <summary>
    /// Of a pass, what the unusual way must save: less may be a busy machine's noise, and one job should not come out in other bits from
    /// run to run for that.
    /// </summary>
    private const double LeastSaving = 0.05;

    /// <summary>A call on every rank, which all take the same decision.</summary>
    public static PassChoice Choose(
        JobSpec spec, ITrainingPartition partition, ICollectiveGroup group, MeasureLayouts measure, ILogger logger,
        CancellationToken cancellationToken)
    {
        var samples = partition.LocalSamples(spec.Hyperparameters.GlobalBatchSize).Count;
        var passes = Math.Max(1, spec.Hyperparameters.AccumulationSteps);
        // All at once, as they will train: neighbours share caches and memory.
        var own = measure(spec, partition.Network, (samples + passes - 1) / passes, cancellationToken);
        NativeHeap.Trim();
        var all = new LayoutTimes[group.WorldSize];
        group.AllGather<double>(
            MemoryMarshal.Cast<LayoutTimes, double>([own]), MemoryMarshal.Cast<LayoutTimes, double>(all.AsSpan()), "layout");
        var (choice, reason) = Decide(all, ModelRegistry.PrefersChannelsLast(spec.Model.Name));
        if (group.Rank == 0)
            LogDecision(logger, reason);
        return choice;
    }

    /// <summary>The decision and why.</summary>
    /// <param name="ranks">Of each rank.</param>
    /// <param name="usuallyChannelsLast">What suits the network on most processors.</param>
    internal static (PassChoice Choice, string Reason) Decide(IReadOnlyList<LayoutTimes> ranks, bool usuallyChannelsLast)
    {
        // Ranks wait for each other at every step.
        var (contiguous, channelsLast) = (ranks.Max(rank => rank.Contiguous), ranks.Max(rank => rank.ChannelsLast));
        var (usual, other) = usuallyChannelsLast ? (channelsLast, contiguous) : (contiguous, channelsLast);
        var decision = usuallyChannelsLast != Saves(other, usual);
        var reason = string.Create(
            CultureInfo.InvariantCulture,
            $"{(decision ? "channels-last" : "contiguous")}: a pass takes {1000 * channelsLast:F1} ms channels-last and "
            + $"{1000 * contiguous:F1} ms contiguous on the slowest rank{ButTooLittle(other, usual)}");

        var (kernels, operators) = decision
            ? (channelsLast, ranks.Max(rank => rank.ChannelsLastByOperators))
            : (contiguous, ranks.Max(rank => rank.ContiguousByOperators));
        if (operators == 0)
            return (new PassChoice(decision, Kernels: true), reason);
        var takesOperators = Saves(operators, kernels);
        return (new PassChoice(decision, !takesOperators), reason + string.Create(
            CultureInfo.InvariantCulture,
            $"; by libtorch's operators alone {1000 * operators:F1} ms{ButTooLittle(operators, kernels)}, "
            + $"so {(takesOperators ? "no " : "")}kernels of our own are used"));
    }

    private static bool Saves(double other, double usual) => other < (1 - LeastSaving) * usual;

    private static string ButTooLittle(double other, double usual) => other < usual && !Saves(other, usual)
        ? string.Create(CultureInfo.InvariantCulture, $", which is not {LeastSaving:P0} less")
        : "";

    [LoggerMessage(LogLevel.Information, "Images lie {Decision}")]
    private static partial void LogDecision(ILogger logger, string decision);
}
