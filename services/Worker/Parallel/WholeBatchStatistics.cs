// Shape suffixes: C channels. A rank's samples, pixels included, number n; those of all ranks m.
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Batch normalisation's sums over all ranks' samples. The same bits on every rank, so that replicas' running statistics stay equal.
/// </summary>
/// <remarks>
/// A fault in backward cannot pass through libtorch: it is kept, the rest of backward runs on zeros without talking, and
/// <see cref="ThrowIfFaulted"/> throws it.
/// </remarks>
/// <param name="group">Of the ranks that share the batch, and of this alone: exchanges on it wait for no gradients that are under
/// way.</param>
internal sealed class WholeBatchStatistics(ICollectiveGroup group) : IDisposable
{
    private ExceptionDispatchInfo? fault;

    /// <summary>Time in exchanges since <see cref="Begin"/>.</summary>
    public TimeSpan Elapsed { get; private set; }

    /// <summary>Has a network's layers normalise by the statistics of all ranks. A call on every rank.</summary>
    /// <returns>Null where there are no such layers, or no other ranks.</returns>
    public static async Task<WholeBatchStatistics?> AttachAsync(
        ImageClassifier network, ICollectiveGroup ranks, CancellationToken cancellationToken)
    {
        var layers = network.modules().OfType<BatchNormalization>().ToList();
        if (ranks.WorldSize == 1)
            return null;
        // Also where this rank has none of them: its peers' stages may.
        var statistics = new WholeBatchStatistics(await ranks.SplitAsync("statistics", 0, cancellationToken));
        layers.ForEach(layer => layer.OverWholeBatch = input => SynchronisedBatchNorm.Apply(input, layer, statistics));
        if (layers.Count > 0)
            return statistics;
        statistics.Dispose();
        return null;
    }

    public void Dispose() => group.Dispose();

    public void Begin() => Elapsed = TimeSpan.Zero;

    public void ThrowIfFaulted() => fault?.Throw();

    /// <summary>Mean and sum of squared distances from it, of each channel of (N, C, H, W) over all ranks.</summary>
    /// <remarks>
    /// Each rank's about its own mean, joined by Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 1.5b: no
    /// cancellation where the mean is large.
    /// </remarks>
    public ChannelMoments Moments(Tensor input)
    {
        using var scope = NewDisposeScope();
        var channels = (int)input.shape[1];
        var count = input.numel() / channels;
        using Scalar divisor = Math.Max(1.0, count); // a rank without samples has sums of zero
        var sum_C = PerChannelSum(input);
        var squares_C = PerChannelSum((input - Broadcast(sum_C / divisor, input)).square());
        double[] mine = [count, .. Values(sum_C), .. Values(squares_C)];
        var all = new double[mine.Length * group.WorldSize];
        Timed(() => group.AllGather<double>(mine, all, "statistics"));
        return Join(all, channels);
    }

    /// <summary>Sums over all ranks, for backward.</summary>
    public void Add(double[] sums) => Timed(() => group.AllReduce<double>(sums, "statistics/gradient"));

    /// <summary>Within backward: what <paramref name="compute"/> gives, or <paramref name="zeros"/> once an exchange has failed.</summary>
    public List<Tensor> Guarded(Func<List<Tensor>> compute, Func<List<Tensor>> zeros)
    {
        try
        {
            return fault is null ? compute() : zeros();
        }
        catch (Exception e)
        {
            fault = ExceptionDispatchInfo.Capture(e);
            return zeros();
        }
    }

    /// <summary>(N, C, H, W) → (C), accumulated in float64.</summary>
    public static Tensor PerChannelSum(Tensor x) => x.sum([0, 2, 3], type: ScalarType.Float64);

    /// <summary>(C) in float64 → (1, C, 1, 1), to go with <paramref name="images"/>.</summary>
    public static Tensor Broadcast(Tensor x_C, Tensor images) => x_C.to(images.dtype, images.device).view(1, -1, 1, 1);

    public static double[] Values(Tensor x_C)
    {
        using var scope = NewDisposeScope(); // a span of a tensor's memory does not keep the tensor
        return MemoryMarshal.Cast<byte, double>(x_C.cpu().contiguous().bytes).ToArray();
    }

    private void Timed(Action exchange)
    {
        var began = Stopwatch.GetTimestamp();
        exchange();
        Elapsed += Stopwatch.GetElapsedTime(began);
    }

    /// <summary>In rank order and in plain arithmetic, which is the same on processors of every kind.</summary>
    private ChannelMoments Join(double[] all, int channels)
    {
        var stride = 1 + (2 * channels);
        var count = 0.0;
        for (var rank = 0; rank < group.WorldSize; rank++)
            count += all[rank * stride];
        var (mean, squares) = (new double[channels], new double[channels]);
        for (var c = 0; c < channels; c++)
        {
            for (var rank = 0; rank < group.WorldSize; rank++)
                mean[c] += all[(rank * stride) + 1 + c] / count;
            for (var rank = 0; rank < group.WorldSize; rank++)
            {
                var own = all[rank * stride];
                var distance = own == 0 ? 0 : (all[(rank * stride) + 1 + c] / own) - mean[c];
                squares[c] += all[(rank * stride) + 1 + channels + c] + (own * distance * distance);
            }
        }

        return new ChannelMoments(count, mean, squares);
    }
}

/// <param name="Count">Values a channel: samples times pixels, of all ranks.</param>
/// <param name="Mean">Of each channel.</param>
/// <param name="Squares">Sum of each channel's squared distances from its mean.</param>
internal sealed record ChannelMoments(double Count, double[] Mean, double[] Squares);
