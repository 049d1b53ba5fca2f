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
/// On GPUs nothing of it passes through the CPU, which goes on: what the device computes next waits for the sums there, and <see
/// cref="ThrowIfFaulted"/> for the exchanges. A fault in backward cannot pass through libtorch: it is kept, the rest of backward runs on
/// zeros without talking, and <see cref="ThrowIfFaulted"/> throws it.
/// </remarks>
/// <param name="group">Of the ranks that share the batch, and of this alone: exchanges on it wait for no gradients that are under
/// way.</param>
internal sealed class GlobalBatchStatistics(ICollectiveGroup group) : IPassExchange, IDisposable
{
    private readonly List<Task> _underWay = [];
    private ExceptionDispatchInfo? _fault;

    /// <summary>No: layers then normalise by running statistics, which are the same on every rank.</summary>
    public bool IsInEvaluation => false;

    /// <summary>Time in exchanges since <see cref="Begin"/>.</summary>
    public TimeSpan Elapsed { get; private set; }

    /// <summary>Has a network's layers normalise by the statistics of all ranks. A call on every rank.</summary>
    /// <returns>Null where there are no such layers, or no other ranks.</returns>
    public static async Task<GlobalBatchStatistics?> AttachAsync(
        ImageClassifier network, ICollectiveGroup ranks, CancellationToken cancellationToken)
    {
        var layers = network.modules().OfType<BatchNormalization>().ToList();
        if (ranks.WorldSize == 1)
            return null;
        // Also where this rank has none of them: its peers' stages may.
        var statistics = new GlobalBatchStatistics(await ranks.SplitAsync("statistics", 0, cancellationToken));
        layers.ForEach(layer => layer.OverWholeBatch = input => SynchronisedBatchNorm.Apply(input, layer, statistics));
        if (layers.Count > 0)
            return statistics;
        statistics.Dispose();
        return null;
    }

    public void Dispose() => group.Dispose();

    public void Begin() => Elapsed = TimeSpan.Zero;

    /// <summary>After backward.</summary>
    public void ThrowIfFaulted()
    {
        _fault?.Throw();
        Task.WhenAll(_underWay).GetAwaiter().GetResult();
        _underWay.Clear();
    }

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
        return (group.ReachesDevices ? JoinThere(count, sum_C, squares_C) : JoinHere(count, sum_C, squares_C)).MoveToOuterScope();
    }

    /// <summary>Sums over all ranks in place, for backward.</summary>
    public void Add(Tensor sums) => Timed(
        () => _underWay.Add(group.AllReduceInStreamAsync<double>(TensorMemory.AddressOf(sums), sums.numel(), "statistics/gradient")));

    /// <summary>Within backward: what <paramref name="compute"/> gives, or <paramref name="zeros"/> once an exchange has failed.</summary>
    public List<Tensor> Guarded(Func<List<Tensor>> compute, Func<List<Tensor>> zeros)
    {
        try
        {
            return _fault is null ? compute() : zeros();
        }
        catch (Exception e)
        {
            _fault = ExceptionDispatchInfo.Capture(e);
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
    private ChannelMoments JoinHere(long ownCount, Tensor sum_C, Tensor squares_C)
    {
        double[] mine = [ownCount, .. Values(sum_C), .. Values(squares_C)];
        var all = new double[mine.Length * group.WorldSize];
        Timed(() => group.AllGather<double>(mine, all, "statistics"));
        var (stride, channels) = (mine.Length, (mine.Length - 1) / 2);
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

        return new ChannelMoments(tensor(count), tensor(mean), tensor(squares));
    }

    /// <summary>
    /// The same arithmetic where the sums are. A rank writes its own into its row of zeros, so that the rows' sum over the ranks has all
    /// of them.
    /// </summary>
    private ChannelMoments JoinThere(long ownCount, Tensor sum_C, Tensor squares_C)
    {
        var channels = sum_C.numel();
        var rows = zeros([group.WorldSize, 1 + (2 * channels)], ScalarType.Float64, sum_C.device); // W×(1 + 2C)
        rows[group.Rank].copy_(cat([full([1], ownCount, ScalarType.Float64, sum_C.device), sum_C, squares_C]));
        Timed(() => _underWay.Add(group.AllReduceInStreamAsync<double>(TensorMemory.AddressOf(rows), rows.numel(), "statistics")));
        var (counts_W1, sums_WC, squares_WC) = (rows.narrow(1, 0, 1), rows.narrow(1, 1, channels), rows.narrow(1, 1 + channels, channels));
        var count = counts_W1.sum();
        var mean_C = (sums_WC / count).sum([0]);
        var distance_WC = where(counts_W1.eq(0), zeros_like(sums_WC), (sums_WC / counts_W1) - mean_C); // a rank without samples is nowhere
        return new ChannelMoments(count, mean_C, (squares_WC + (counts_W1 * distance_WC * distance_WC)).sum([0]));
    }
}

/// <summary>In float64, where the input is.</summary>
/// <param name="Count">Values a channel: samples times pixels, of all ranks.</param>
/// <param name="Mean">Of each channel.</param>
/// <param name="Squares">Sum of each channel's squared distances from its mean.</param>
internal sealed record ChannelMoments(Tensor Count, Tensor Mean, Tensor Squares)
{
    public ChannelMoments MoveToOuterScope() =>
        new(Count.MoveToOuterDisposeScope(), Mean.MoveToOuterDisposeScope(), Squares.MoveToOuterDisposeScope());
}
