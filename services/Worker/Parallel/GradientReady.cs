using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Passes a layer's input through and, in backward, reports that the layer's parameters have their gradients: autograd accumulates
/// into leaves before it goes on to what was computed earlier, which is this function.
/// </summary>
internal sealed class GradientReady : autograd.SingleTensorFunction<GradientReady>
{
    private const string Layer = "layer";

    public override string Name => nameof(GradientReady);

    /// <param name="ctx">Keeps the layer for backward.</param>
    /// <param name="vars">The input and its <see cref="HookedLayer"/>.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ctx.save_data(Layer, vars[1]);
        return (Tensor)vars[0];
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ((HookedLayer)ctx.get_data(Layer)!).UseDone();
        return [grad_output, null!]; // the layer is no tensor and has no gradient
    }
}

/// <summary>A layer with parameters of its own; counts its uses in a forward, because a shared layer has all gradients only after the last.</summary>
/// <param name="parameters">Indexes of its parameters.</param>
/// <param name="ready">Called, within backward, once the gradients are there. Must not throw: nothing can pass through native code.</param>
internal sealed class HookedLayer(int[] parameters, Action<int[]> ready)
{
    private int uses;

    public void Begin() => uses = 0;

    public void Used() => uses++;

    public void UseDone()
    {
        if (--uses == 0)
            ready(parameters);
    }
}
