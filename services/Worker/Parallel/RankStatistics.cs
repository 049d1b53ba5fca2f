using System.Runtime.InteropServices;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Running statistics of ranks that each normalise their own slice of the batch: after every step all ranks hold the average, weighted by samples, so that
/// replicas stay equal and a checkpoint may be written by any.
/// </summary>
internal sealed class RankStatistics
{
    private readonly ICollectiveGroup group;
    private readonly IReadOnlyList<Tensor> running;
    private readonly double[] values;

    public RankStatistics(IReadOnlyList<BatchNormalization> layers, ICollectiveGroup group)
    {
        this.group = group;
        running = [.. layers.Select(layer => layer.running_mean!), .. layers.Select(layer => layer.running_var!)];
        values = new double[running.Sum(tensor => tensor.numel())];
    }

    /// <param name="share">This rank's share of the global batch, from 0 to 1.</param>
    public void Average(double share)
    {
        if (values.Length == 0)
            return;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using Scalar weight = share;
        var at = 0;
        foreach (var tensor in running)
        {
            var weighted = tensor.to(ScalarType.Float64) * weight;
            MemoryMarshal.Cast<byte, double>(weighted.cpu().bytes).CopyTo(values.AsSpan(at));
            at += (int)tensor.numel();
        }

        group.AllReduce<double>(values, "statistics/running");
        at = 0;
        foreach (var tensor in running)
        {
            var length = (int)tensor.numel();
            tensor.copy_(torch.tensor(values[at..(at + length)]).to(tensor.dtype));
            at += length;
        }
    }
}
