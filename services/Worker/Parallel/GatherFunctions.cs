using Cluster.Models.Layers;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>A gathering in autograd's graph; applied to a rank's own part and its <see cref="ChannelExchange"/>.</summary>
internal abstract class GatherFunction<T> : autograd.SingleTensorFunction<T>
    where T : GatherFunction<T>, new()
{
    private const string Exchange = "exchange";

    public override string Name => typeof(T).Name;

    public sealed override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var exchange = (ChannelExchange)vars[1];
        ctx.save_data(Exchange, exchange);
        HandedGradients.Prepare(ctx);
        return Gather(exchange, (Tensor)vars[0]);
    }

    public sealed override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        // the exchange is no tensor
        HandedGradients.HandOver(ctx, grad_output, OwnGradient((ChannelExchange)ctx.get_data(Exchange)!, grad_output), null);

    protected abstract Tensor Gather(ChannelExchange exchange, Tensor own);

    protected abstract Tensor OwnGradient(ChannelExchange exchange, Tensor gradient);
}

/// <summary>
/// Gathers channels that each rank goes on to use for something else: backward adds what all of them say about this rank's.
/// </summary>
internal sealed class GatherChannels : GatherFunction<GatherChannels>
{
    protected override Tensor Gather(ChannelExchange exchange, Tensor own) => exchange.Gather(own);

    protected override Tensor OwnGradient(ChannelExchange exchange, Tensor gradient) => exchange.ReduceGradient(gradient);
}

/// <summary>
/// Gathers scores that every rank feeds to the same loss: each has the whole gradient already, and adding them would count it twice.
/// </summary>
internal sealed class GatherReplicatedChannels : GatherFunction<GatherReplicatedChannels>
{
    protected override Tensor Gather(ChannelExchange exchange, Tensor own) => exchange.Gather(own);

    protected override Tensor OwnGradient(ChannelExchange exchange, Tensor gradient) => exchange.SliceGradient(gradient);
}

/// <summary>
/// Gathers samples, of which each rank goes on to compute other units: backward adds what all of them say about this rank's.
/// </summary>
internal sealed class GatherSamples : GatherFunction<GatherSamples>
{
    protected override Tensor Gather(ChannelExchange exchange, Tensor own) => exchange.GatherSamples(own);

    protected override Tensor OwnGradient(ChannelExchange exchange, Tensor gradient) => exchange.ReduceSamples(gradient);
}
