using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>What the parts of a network that is split by channels tell each other, forward and backward, and how long that takes.</summary>
/// <remarks>A fault in backward cannot pass through libtorch: it is kept, the rest of backward runs on zeros without talking, and <see cref="ThrowIfFaulted"/> throws it.</remarks>
internal sealed class ChannelExchange(ICollectiveGroup group)
{
    private readonly List<Tensor> returned = []; // what native code was handed; it may read it until backward ends
    private ExceptionDispatchInfo? fault;

    /// <summary>Time in exchanges since <see cref="Begin"/>.</summary>
    public TimeSpan Elapsed { get; private set; }

    public void Begin()
    {
        Elapsed = TimeSpan.Zero;
        returned.Clear();
    }

    public void ThrowIfFaulted() => fault?.Throw();

    /// <summary>(N, c, …) → (N, W·c, …): all ranks' channels in rank order.</summary>
    public Tensor Gather(Tensor local)
    {
        using var scope = NewDisposeScope();
        var mine = local.detach().contiguous();
        var all = empty([group.WorldSize, .. mine.shape], dtype: mine.dtype); // W×N×c×…
        Timed(() =>
        {
            if (mine.dtype == ScalarType.Float64)
                group.AllGather<double>(Values<double>(mine), Values<double>(all), "channels/gather");
            else
                group.AllGather<float>(Values<float>(mine), Values<float>(all), "channels/gather");
        });
        var parts = Enumerable.Range(0, group.WorldSize).Select(rank => all.select(0, rank)).ToArray();
        return cat(parts, 1).MoveToOuterDisposeScope(); // N×W·c×…
    }

    /// <summary>(N, W·c, …) → (N, c, …): the ranks' gradients added, this rank's channels of the sum.</summary>
    public Tensor ReduceGradient(Tensor gradient) => Guarded(gradient, () =>
    {
        var parts = stack(gradient.chunk(group.WorldSize, 1), 0); // W×N×c×…
        var mine = empty(parts.shape[1..], dtype: gradient.dtype);
        Timed(() =>
        {
            if (gradient.dtype == ScalarType.Float64)
                group.ReduceScatter<double>(Values<double>(parts), Values<double>(mine), "channels/gradient");
            else
                group.ReduceScatter<float>(Values<float>(parts), Values<float>(mine), "channels/gradient");
        });
        return mine;
    });

    /// <summary>(N, W·c, …) → (N, c, …) of a gradient that is the same, and whole, on every rank.</summary>
    public Tensor SliceGradient(Tensor gradient) => Guarded(gradient, () => OwnPart(gradient).contiguous());

    private Tensor OwnPart(Tensor gradient)
    {
        var channels = gradient.shape[1] / group.WorldSize;
        return gradient.narrow(1, group.Rank * channels, channels);
    }

    private Tensor Guarded(Tensor gradient, Func<Tensor> compute)
    {
        using var scope = NewDisposeScope();
        Tensor result;
        try
        {
            result = fault is null ? compute() : zeros_like(OwnPart(gradient));
        }
        catch (Exception e)
        {
            fault = ExceptionDispatchInfo.Capture(e);
            result = zeros_like(OwnPart(gradient));
        }

        returned.Add(result.MoveToOuterDisposeScope());
        return result;
    }

    private void Timed(Action exchange)
    {
        var began = Stopwatch.GetTimestamp();
        exchange();
        Elapsed += Stopwatch.GetElapsedTime(began);
    }

    private static Span<T> Values<T>(Tensor tensor)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(tensor.bytes);
}

/// <summary>Gathers channels that each rank goes on to use for something else: backward adds what all of them say about this rank's.</summary>
internal sealed class GatherChannels : autograd.SingleTensorFunction<GatherChannels>
{
    private const string Exchange = "exchange";

    public override string Name => nameof(GatherChannels);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ctx.save_data(Exchange, vars[1]);
        return ((ChannelExchange)vars[1]).Gather((Tensor)vars[0]);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        [((ChannelExchange)ctx.get_data(Exchange)!).ReduceGradient(grad_output), null!];
}

/// <summary>Gathers scores that every rank feeds to the same loss: each has the whole gradient already, and adding them would count it twice.</summary>
internal sealed class GatherReplicatedChannels : autograd.SingleTensorFunction<GatherReplicatedChannels>
{
    private const string Exchange = "exchange";

    public override string Name => nameof(GatherReplicatedChannels);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ctx.save_data(Exchange, vars[1]);
        return ((ChannelExchange)vars[1]).Gather((Tensor)vars[0]);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        [((ChannelExchange)ctx.get_data(Exchange)!).SliceGradient(grad_output), null!];
}
