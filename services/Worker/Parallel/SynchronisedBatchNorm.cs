// Shape suffixes: N samples, C channels, H and W pixels. m: values a channel, of all ranks' samples.
using Cluster.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Batch normalisation over a batch of which each rank holds a slice: Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1 and the
/// gradients of §3.
/// </summary>
/// <remarks>
/// y = γ·x̂ + β with x̂ = (x − μ)/√(σ² + ε), μ and σ² of the whole batch. Backward, with sums over the whole batch:
/// ∂x = γ/√(σ² + ε) · (∂y − Σ∂y/m − x̂·Σ(∂y·x̂)/m). The gradients of γ and β are this rank's share, as every other parameter's are.
/// All in the parameters' type: bfloat16 values are widened first.
/// </remarks>
internal sealed class SynchronisedBatchNorm : autograd.SingleTensorFunction<SynchronisedBatchNorm>
{
    private const string State = "state";

    public override string Name => nameof(SynchronisedBatchNorm);

    public static Tensor Apply(Tensor input, BatchNormalization layer, WholeBatchStatistics statistics) =>
        apply(input, layer.weight, layer.bias!, layer, statistics);

    /// <param name="ctx">Keeps what backward needs.</param>
    /// <param name="vars">Input, weight, bias, the layer and the exchange.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (input, weight, bias) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        var (layer, statistics) = ((BatchNormalization)vars[3], (WholeBatchStatistics)vars[4]);
        var values = input.to(weight.dtype);
        var moments = statistics.Moments(values);
        var deviation = Array.ConvertAll(moments.Squares, squares => Math.Sqrt((squares / moments.Count) + layer.eps));
        UpdateRunning(layer, moments);
        ctx.save_for_backward([input, weight]);
        ctx.save_data(State, new Saved(moments, deviation, statistics));

        var scale_C = weight.to(ScalarType.Float64) / tensor(deviation, device: weight.device);
        var shift_C = bias.to(ScalarType.Float64) - (tensor(moments.Mean, device: weight.device) * scale_C);
        var scaled = values * WholeBatchStatistics.Broadcast(scale_C, values);
        return scaled.add_(WholeBatchStatistics.Broadcast(shift_C, values)).to(input.dtype).MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = (Saved)ctx.get_data(State)!;
        var variables = ctx.get_saved_variables();
        var (input, weight) = (variables[0], variables[1]);
        var gradients = saved.Statistics.Guarded(
            () => Gradients(input.to(weight.dtype), weight, grad_output.to(weight.dtype), input.dtype, saved),
            () => [zeros_like(input), zeros_like(weight), zeros_like(weight)]);
        return HandedGradients.HandOver(grad_output, [.. gradients, null, null]); // layer and exchange are no tensors
    }

    private static List<Tensor> Gradients(Tensor input, Tensor weight, Tensor gradient, ScalarType inputType, Saved saved)
    {
        var (count, deviation) = (saved.Moments.Count, saved.Deviation);
        var centred = input - WholeBatchStatistics.Broadcast(tensor(saved.Moments.Mean), input); // x − μ: N×C×H×W
        var bias_C = WholeBatchStatistics.PerChannelSum(gradient);
        var weight_C = WholeBatchStatistics.PerChannelSum(gradient * centred) / tensor(deviation, device: weight.device); // Σ ∂y·x̂
        double[] sums = [.. WholeBatchStatistics.Values(bias_C), .. WholeBatchStatistics.Values(weight_C)];
        saved.Statistics.Add(sums);

        var channels = deviation.Length;
        var mean_C = tensor([.. sums[..channels].Select(sum => sum / count)]);
        var slope_C = tensor([.. sums[channels..].Select((sum, c) => sum / (count * deviation[c]))]); // x̂'s √(σ² + ε) divided here
        var scale_C = weight.to(ScalarType.Float64) / tensor(deviation, device: weight.device);
        var result = gradient - WholeBatchStatistics.Broadcast(mean_C, input);
        result.sub_(centred.mul_(WholeBatchStatistics.Broadcast(slope_C, input))).mul_(WholeBatchStatistics.Broadcast(scale_C, input));
        return [result.to(inputType), weight_C.to(weight.dtype), bias_C.to(weight.dtype)];
    }

    /// <summary>Running averages, of the unbiased variance (§3.1), as a single device keeps them.</summary>
    private static void UpdateRunning(BatchNormalization layer, ChannelMoments moments)
    {
        layer.num_batches_tracked!.add_(1);
        Average(layer.running_mean!, moments.Mean);
        // One value has no variance to learn from.
        if (moments.Count > 1)
            Average(layer.running_var!, Array.ConvertAll(moments.Squares, squares => squares / (moments.Count - 1)));

        void Average(Tensor running_C, double[] batch)
        {
            using Scalar kept = 1 - layer.momentum!.Value;
            using Scalar taken = layer.momentum.Value;
            running_C.mul_(kept).add_(tensor(batch).to(running_C.dtype, running_C.device), taken);
        }
    }

    private sealed record Saved(ChannelMoments Moments, double[] Deviation, WholeBatchStatistics Statistics);
}
