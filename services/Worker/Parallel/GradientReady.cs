using Cluster.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Passes a layer's input through and calls back in backward, once the gradients of that layer and of all that ran after it are there:
/// libtorch works a graph off in the reverse order of its making, and accumulates into leaves before it goes on.
/// </summary>
internal sealed class GradientReady : autograd.SingleTensorFunction<GradientReady>
{
    private const string Reached = "reached";

    public override string Name => nameof(GradientReady);

    /// <param name="ctx">Keeps the callback for backward.</param>
    /// <param name="vars">The input and an <see cref="Action"/>, which must not throw: nothing can pass through native code.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ctx.save_data(Reached, vars[1]);
        HandedGradients.Prepare(ctx);
        return (Tensor)vars[0];
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ((Action)ctx.get_data(Reached)!)();
        return HandedGradients.HandOver(ctx, grad_output, grad_output, null); // the callback is no tensor and has no gradient
    }
}
