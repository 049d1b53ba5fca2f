using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary><see cref="BatchNormKernel"/> in autograd's graph: keeps its input, as libtorch's does.</summary>
internal sealed class FusedBatchNorm : autograd.SingleTensorFunction<FusedBatchNorm>
{
    private const string Kernel = "kernel";

    public override string Name => nameof(FusedBatchNorm);

    /// <summary>Whether the kernel is for it: on the CPU in float32, a pixel's channels together.</summary>
    public static bool Takes(Tensor input) =>
        input.dtype == ScalarType.Float32 && input.device_type == TorchSharp.DeviceType.CPU && input.numel() > 0
        && ImageLayout.IsChannelsLast(input);

    /// <summary>Normalises by the batch's statistics, and moves the layer's running ones.</summary>
    public static Tensor Apply(Tensor input, BatchNormalization layer) =>
        apply(input, layer.weight!, layer.bias!, layer, new BatchNormKernel(input.shape));

    /// <param name="ctx">Keeps input and weight for backward.</param>
    /// <param name="vars">Input, weight, bias, the layer and its <see cref="BatchNormKernel"/>.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, weight, bias) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        var (layer, kernel) = ((BatchNormalization)vars[3], (BatchNormKernel)vars[4]);
        var output = ImageLayout.EmptyChannelsLast(input.shape, input.dtype, input.device);
        var (mean, squares) = kernel.Forward(
            ImageLayout.AddressOf(input), ImageLayout.AddressOf(weight), ImageLayout.AddressOf(bias), layer.eps,
            ImageLayout.AddressOf(output));
        layer.MoveRunningStatistics(mean, squares, input.numel() / mean.Length);
        ctx.save_for_backward([input, weight]);
        ctx.save_data(Kernel, kernel);
        HandedGradients.Prepare(ctx);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var (saved, kernel) = (ctx.get_saved_variables(), (BatchNormKernel)ctx.get_data(Kernel)!);
        var (input, weight) = (saved[0], saved[1]);
        var outputGradient = ImageLayout.Arranged(grad_output, channelsLast: true);
        var inputGradient = ImageLayout.EmptyChannelsLast(input.shape, input.dtype, input.device);
        var (weightGradient, biasGradient) = (empty_like(weight), empty_like(weight));
        kernel.Backward(
            ImageLayout.AddressOf(input), ImageLayout.AddressOf(weight), ImageLayout.AddressOf(outputGradient),
            ImageLayout.AddressOf(inputGradient), ImageLayout.AddressOf(weightGradient), ImageLayout.AddressOf(biasGradient));
        return HandedGradients.HandOver(ctx, grad_output, inputGradient, weightGradient, biasGradient, null, null);
    }
}
