using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Running statistics of ranks that each normalise their own slice of the batch, as PyTorch's DistributedDataParallel does by default.
/// </summary>
/// <remarks>
/// No step exchanges them. Where they are needed, in evaluation and in checkpoints, all ranks take the average, weighted by samples:
/// running statistics are sums over steps, so an average of theirs is that of averages at each step. Afterwards each rank goes on from its
/// own, and a checkpoint keeps those too: a resumed run has the bits of one that was not stopped.
/// </remarks>
public sealed class RankStatistics
{
    private readonly ICollectiveGroup group;
    private readonly List<(string Name, Tensor Tensor)> running;
    private double share;

    /// <param name="network">What this rank computes.</param>
    /// <param name="group">The ranks that share the batch.</param>
    internal RankStatistics(ImageClassifier network, ICollectiveGroup group)
    {
        this.group = group;
        share = 1.0 / group.WorldSize;
        running =
        [
            .. network.named_modules().Where(module => module.module is BatchNormalization).SelectMany(module =>
            {
                var layer = (BatchNormalization)module.module;
                return new[] { (module.name + ".running_mean", layer.running_mean!), (module.name + ".running_var", layer.running_var!) };
            }),
        ];
    }

    /// <summary>The ranks that share the batch.</summary>
    internal ICollectiveGroup Ranks => group;

    /// <summary>Each layer's mean and variance, by their names in the network's state.</summary>
    internal IReadOnlyList<(string Name, Tensor Tensor)> Running => running;

    /// <summary>A rank's share of the batch, and its values of all layers.</summary>
    internal int RowLength => 1 + running.Sum(statistic => (int)statistic.Tensor.numel());

    /// <summary>Has what follows from the statistics, such as a running average of them, averaged with them.</summary>
    internal void Include(string name, Tensor tensor) => running.Add((name, tensor));

    /// <summary>Notes this rank's share of the global batch, from 0 to 1.</summary>
    internal void Begin(double shareOfBatch) => share = shareOfBatch;

    /// <summary>Within what is returned all ranks hold the average. A call on every rank.</summary>
    internal AveragedStatistics Average()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        double[] own = [share, .. running.SelectMany(statistic => WholeBatchStatistics.Values(statistic.Tensor.to(ScalarType.Float64)))];
        var all = new double[own.Length * group.WorldSize];
        group.AllGather<double>(own, all, "statistics/running");

        // In rank order and in plain arithmetic, which is the same on processors of every kind.
        var average = new double[own.Length - 1];
        for (var rank = 0; rank < group.WorldSize; rank++)
        {
            var row = all.AsSpan(rank * own.Length, own.Length);
            for (var i = 0; i < average.Length; i++)
                average[i] += row[0] * row[i + 1];
        }

        Overwrite(average);
        return new AveragedStatistics(this, all, own);
    }

    /// <summary>Goes on from what this rank had, as <see cref="AveragedStatistics.OfAllRanks"/> kept it.</summary>
    internal void Restore(ReadOnlySpan<double> own)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        share = own[0];
        Overwrite(own[1..].ToArray());
    }

    private void Overwrite(double[] flat)
    {
        var at = 0;
        foreach (var (_, statistic) in running)
        {
            var length = (int)statistic.numel();
            statistic.copy_(tensor(flat[at..(at + length)]).to(statistic.dtype));
            at += length;
        }
    }
}

/// <summary>While this lives, the network holds the average of all ranks' statistics.</summary>
/// <param name="statistics">Whose.</param>
/// <param name="ofAllRanks">A row a rank: its share of the batch, then its own values.</param>
/// <param name="own">This rank's row.</param>
internal sealed class AveragedStatistics(RankStatistics statistics, double[] ofAllRanks, double[] own) : IDisposable
{
    public IReadOnlyList<double> OfAllRanks => ofAllRanks;

    public long RowLength => own.Length;

    public void Dispose() => statistics.Restore(own);
}
