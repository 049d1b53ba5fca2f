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

    public static Tensor Apply(Tensor input, BatchNormalization layer, GlobalBatchStatistics statistics) =>
        apply(input, layer.weight, layer.bias!, layer, statistics);

    /// <param name="ctx">Keeps what backward needs.</param>
    /// <param name="vars">Input, weight, bias, the layer and the exchange.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (input, weight, bias) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        var (layer, statistics) = ((BatchNormalization)vars[3], (GlobalBatchStatistics)vars[4]);
        var values = input.to(weight.dtype);
        var moments = statistics.Moments(values);
        using Scalar eps = layer.eps;
        var deviation_C = ((moments.Squares / moments.Count) + eps).sqrt();
        UpdateRunning(layer, moments);
        ctx.save_for_backward([input, weight]);
        ctx.save_data(State, new Normalised(moments.Count, moments.Mean, deviation_C, statistics));
        HandedGradients.Prepare(ctx);

        var scale_C = weight.to(ScalarType.Float64) / deviation_C;
        var shift_C = bias.to(ScalarType.Float64) - (moments.Mean * scale_C);
        var scaled = values * GlobalBatchStatistics.Broadcast(scale_C, values);
        return scaled.add_(GlobalBatchStatistics.Broadcast(shift_C, values)).to(input.dtype).MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        using var batch = (Normalised)ctx.get_data(State)!;
        var variables = ctx.get_saved_variables();
        var (input, weight) = (variables[0], variables[1]);
        var gradients = batch.Statistics.Guarded(
            () => Gradients(input.to(weight.dtype), weight, grad_output.to(weight.dtype), input.dtype, batch),
            () => [zeros_like(input), zeros_like(weight), zeros_like(weight)]);
        return HandedGradients.HandOver(ctx, grad_output, [.. gradients, null, null]); // layer and exchange are no tensors
    }

    private static List<Tensor> Gradients(Tensor input, Tensor weight, Tensor gradient, ScalarType inputType, Normalised batch)
    {
        var (count, deviation_C) = (batch.Count, batch.Deviation);
        var centred = input - GlobalBatchStatistics.Broadcast(batch.Mean, input); // x − μ: N×C×H×W
        var bias_C = GlobalBatchStatistics.PerChannelSum(gradient);
        var weight_C = GlobalBatchStatistics.PerChannelSum(gradient * centred) / deviation_C; // Σ ∂y·x̂
        var sums = cat([bias_C, weight_C]);
        batch.Statistics.Add(sums);

        var channels = weight.numel();
        var mean_C = sums.narrow(0, 0, channels) / count;
        var slope_C = sums.narrow(0, channels, channels) / (count * deviation_C); // x̂'s √(σ² + ε) divided here
        var scale_C = weight.to(ScalarType.Float64) / deviation_C;
        var result = gradient - GlobalBatchStatistics.Broadcast(mean_C, input);
        result.sub_(centred.mul_(GlobalBatchStatistics.Broadcast(slope_C, input))).mul_(GlobalBatchStatistics.Broadcast(scale_C, input));
        return [result.to(inputType), weight_C.to(weight.dtype), bias_C.to(weight.dtype)];
    }

    /// <summary>Running averages, of the unbiased variance (§3.1), as a single device keeps them.</summary>
    private static void UpdateRunning(BatchNormalization layer, ChannelMoments moments)
    {
        Average(layer.running_mean!, moments.Mean);
        using Scalar one = 1;
        using var before_C = layer.running_var!.clone();
        Average(layer.running_var, moments.Squares / (moments.Count - one));
        layer.running_var.copy_(where(moments.Count.gt(one), layer.running_var, before_C)); // one value has no variance to learn from

        void Average(Tensor running_C, Tensor batch_C)
        {
            using Scalar kept = 1 - layer.momentum!.Value;
            using Scalar taken = layer.momentum.Value;
            running_C.mul_(kept).add_(batch_C.to(running_C.dtype), taken);
        }
    }

    /// <summary>
    /// What a whole batch was normalised by, from forward to backward. TorchSharp saves no tensors but forward's own arguments and
    /// result.
    /// </summary>
    private sealed class Normalised(Tensor count, Tensor mean, Tensor deviation, GlobalBatchStatistics statistics) : IDisposable
    {
        public Tensor Count { get; } = count.DetachFromDisposeScope();

        public Tensor Mean { get; } = mean.DetachFromDisposeScope();

        public Tensor Deviation { get; } = deviation.DetachFromDisposeScope();

        public GlobalBatchStatistics Statistics => statistics;

        public void Dispose()
        {
            Count.Dispose();
            Mean.Dispose();
            Deviation.Dispose();
        }
    }
}
