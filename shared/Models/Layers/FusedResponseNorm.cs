using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary><see cref="ResponseNormKernel"/> in autograd's graph: keeps its input alone, of which backward takes the rest anew.</summary>
internal sealed class FusedResponseNorm : autograd.SingleTensorFunction<FusedResponseNorm>
{
    private const string Kernel = "kernel";

    public override string Name => nameof(FusedResponseNorm);

    /// <param name="input">(N, groups · C, H, W), float32, in the CPU's memory, not empty.</param>
    /// <param name="norm">Window, α and k.</param>
    /// <param name="groups">Of channels.</param>
    public static Tensor Apply(Tensor input, (int Size, double Alpha, double K) norm, int groups)
    {
        var channelsLast = ImageLayout.IsChannelsLast(input);
        var shape = input.shape;
        var kernel = new ResponseNormKernel(norm, shape[0], groups, shape[1] / groups, shape[2] * shape[3], channelsLast);
        return apply(channelsLast ? input : input.contiguous(), kernel);
    }

    /// <param name="ctx">Keeps the input for backward.</param>
    /// <param name="vars">The input and its <see cref="ResponseNormKernel"/>.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, kernel) = ((Tensor)vars[0], (ResponseNormKernel)vars[1]);
        ctx.save_for_backward([input]);
        ctx.save_data(Kernel, kernel);
        HandedGradients.Prepare(ctx);
        var output = ImageLayout.Empty(input.shape, kernel.IsChannelsLast, input.dtype, input.device);
        kernel.Forward(ImageLayout.AddressOf(input), ImageLayout.AddressOf(output));
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var (input, kernel) = (ctx.get_saved_variables()[0], (ResponseNormKernel)ctx.get_data(Kernel)!);
        var outputGradient = ImageLayout.Arranged(grad_output, kernel.IsChannelsLast);
        var inputGradient = ImageLayout.Empty(input.shape, kernel.IsChannelsLast, input.dtype, input.device);
        kernel.Backward(ImageLayout.AddressOf(input), ImageLayout.AddressOf(outputGradient), ImageLayout.AddressOf(inputGradient));
        return HandedGradients.HandOver(ctx, grad_output, inputGradient, null); // the kernel is no tensor and has no gradient
    }
}
