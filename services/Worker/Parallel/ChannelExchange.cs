using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>What the parts of a divided network tell each other, forward and backward, and how long that takes.</summary>
/// <remarks>
/// A fault in backward cannot pass through libtorch: it is kept, the rest of backward runs on zeros without talking, and
/// <see cref="ThrowIfFaulted"/> throws it.
/// </remarks>
internal sealed class ChannelExchange(ICollectiveGroup group)
{
    private readonly long[] samples = new long[group.WorldSize]; // of each rank, in the pass that is under way
    private ExceptionDispatchInfo? fault;

    /// <summary>Time in exchanges since <see cref="Begin"/>.</summary>
    public TimeSpan Elapsed { get; private set; }

    public void Begin() => Elapsed = TimeSpan.Zero;

    public void ThrowIfFaulted() => fault?.Throw();

    /// <summary>(N, c, …) → (N, W·c, …): all ranks' channels in rank order.</summary>
    public Tensor Gather(Tensor local)
    {
        using var scope = NewDisposeScope();
        var all = AllGather(local.detach().contiguous(), "channels/gather"); // W×N×c×…
        var parts = Enumerable.Range(0, group.WorldSize).Select(rank => all.select(0, rank)).ToArray();
        return cat(parts, 1).MoveToOuterDisposeScope(); // N×W·c×…
    }

    /// <summary>(N, W·c, …) → (N, c, …): the ranks' gradients added, this rank's channels of the sum.</summary>
    public Tensor ReduceGradient(Tensor gradient) => Guarded(
        () => ReduceScatter(stack(gradient.chunk(group.WorldSize, 1), 0), "channels/gradient"), // W×N×c×… → N×c×…
        () => zeros_like(OwnPart(gradient)));

    /// <summary>(N, W·c, …) → (N, c, …) of a gradient that is the same, and whole, on every rank.</summary>
    public Tensor SliceGradient(Tensor gradient) => Guarded(() => OwnPart(gradient).contiguous(), () => zeros_like(OwnPart(gradient)));

    /// <summary>(n, C, …) → (N, C, …): all ranks' samples in rank order; n may differ between ranks.</summary>
    public Tensor GatherSamples(Tensor local)
    {
        using var scope = NewDisposeScope();
        Timed(() => group.AllGather<long>([local.shape[0]], samples, "samples/count"));
        var all = AllGather(Padded(local.detach()), "samples/gather"); // W×longest×C×…
        return cat([.. samples.Select((count, rank) => all.select(0, rank).narrow(0, 0, count))], 0).MoveToOuterDisposeScope();
    }

    /// <summary>(N, C, …) → (n, C, …): the ranks' gradients added, this rank's samples of the sum.</summary>
    public Tensor ReduceSamples(Tensor gradient) => Guarded(
        () =>
        {
            var parts = stack([.. samples.Select((_, rank) => Padded(SamplesOf(gradient, rank)))], 0); // W×longest×C×…
            return ReduceScatter(parts, "samples/gradient").narrow(0, 0, samples[group.Rank]);
        },
        () => zeros_like(SamplesOf(gradient, group.Rank)));

    /// <summary>(N, …) → (n, …): this rank's samples of those that <see cref="GatherSamples"/> joined.</summary>
    public Tensor OwnSamples(Tensor all) => SamplesOf(all, group.Rank);

    /// <summary>Whether this is part 0.</summary>
    public bool IsFirst => group.Rank == 0;

    /// <summary>Part 0's figures: on processors of different kinds the same sums may differ in their last bits.</summary>
    public void Agree(Span<double> figures) => group.Broadcast(figures, root: 0, "figures");

    private Tensor SamplesOf(Tensor all, int rank) => all.narrow(0, samples.Take(rank).Sum(), samples[rank]);

    /// <summary>Zeros behind the samples, up to the longest share, since ranks exchange equal lengths.</summary>
    private Tensor Padded(Tensor local)
    {
        var padded = zeros([samples.Max(), .. local.shape[1..]], dtype: local.dtype, device: local.device);
        padded.narrow(0, 0, local.shape[0]).copy_(local);
        return padded;
    }

    private Tensor OwnPart(Tensor gradient)
    {
        var channels = gradient.shape[1] / group.WorldSize;
        return gradient.narrow(1, group.Rank * channels, channels);
    }

    private Tensor AllGather(Tensor mine, string operation)
    {
        var all = empty([group.WorldSize, .. mine.shape], dtype: mine.dtype, device: mine.device);
        Timed(() =>
        {
            if (mine.dtype == ScalarType.Float64)
                group.AllGather<double>(TensorMemory.Values<double>(mine), TensorMemory.Values<double>(all), operation);
            else
                group.AllGather<float>(TensorMemory.Values<float>(mine), TensorMemory.Values<float>(all), operation);
        });
        return all;
    }

    private Tensor ReduceScatter(Tensor parts, string operation)
    {
        var mine = empty(parts.shape[1..], dtype: parts.dtype, device: parts.device);
        Timed(() =>
        {
            if (parts.dtype == ScalarType.Float64)
                group.ReduceScatter<double>(TensorMemory.Values<double>(parts), TensorMemory.Values<double>(mine), operation);
            else
                group.ReduceScatter<float>(TensorMemory.Values<float>(parts), TensorMemory.Values<float>(mine), operation);
        });
        return mine;
    }

    private Tensor Guarded(Func<Tensor> compute, Func<Tensor> zeros)
    {
        using var scope = NewDisposeScope();
        Tensor result;
        try
        {
            result = fault is null ? compute() : zeros();
        }
        catch (Exception e)
        {
            fault = ExceptionDispatchInfo.Capture(e);
            result = zeros();
        }

        return result.MoveToOuterDisposeScope();
    }

    private void Timed(Action exchange)
    {
        var began = Stopwatch.GetTimestamp();
        exchange();
        Elapsed += Stopwatch.GetElapsedTime(began);
    }
}
