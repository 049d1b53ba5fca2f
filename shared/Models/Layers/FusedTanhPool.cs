using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary><see cref="TanhPoolKernel"/> in autograd's graph: keeps tanh of its input, from which its derivative follows.</summary>
internal sealed class FusedTanhPool : autograd.SingleTensorFunction<FusedTanhPool>
{
    private const string Kernel = "kernel";

    public override string Name => nameof(FusedTanhPool);

    /// <param name="input">(N, C, H, W), float32, in the CPU's memory, not empty; H and W even.</param>
    public static Tensor Apply(Tensor input)
    {
        var channelsLast = ImageLayout.IsChannelsLast(input);
        return apply(channelsLast ? input : input.contiguous(), new TanhPoolKernel(input.shape, channelsLast));
    }

    /// <param name="ctx">Keeps tanh of the input for backward.</param>
    /// <param name="vars">The input and its <see cref="TanhPoolKernel"/>.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, kernel) = ((Tensor)vars[0], (TanhPoolKernel)vars[1]);
        var squashed = ImageLayout.Empty(input.shape, kernel.IsChannelsLast, input.dtype, input.device);
        var output = ImageLayout.Empty(kernel.OutputShape, kernel.IsChannelsLast, input.dtype, input.device);
        kernel.Forward(ImageLayout.AddressOf(input), ImageLayout.AddressOf(squashed), ImageLayout.AddressOf(output));
        ctx.save_for_backward([squashed]);
        ctx.save_data(Kernel, kernel);
        HandedGradients.Prepare(ctx);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var (squashed, kernel) = (ctx.get_saved_variables()[0], (TanhPoolKernel)ctx.get_data(Kernel)!);
        var outputGradient = ImageLayout.Arranged(grad_output, kernel.IsChannelsLast);
        var inputGradient = ImageLayout.Empty(squashed.shape, kernel.IsChannelsLast, squashed.dtype, squashed.device);
        kernel.Backward(ImageLayout.AddressOf(squashed), ImageLayout.AddressOf(outputGradient), ImageLayout.AddressOf(inputGradient));
        return HandedGradients.HandOver(ctx, grad_output, inputGradient, null); // the kernel is no tensor and has no gradient
    }
}
