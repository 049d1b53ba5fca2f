using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training;
using static TorchSharp.torch;

namespace Cluster.Worker.Inference;

/// <summary>
/// Every sample of a part once, in order, in the batches and shares that a training job's evaluation has: the same weights give the same
/// sums.
/// </summary>
internal sealed class InferencePass(InferenceSetup setup, TrainerStop stop, ILogger logger)
{
    /// <summary>Shows each batch's scores to <paramref name="visit"/>, on the ranks that have samples of it.</summary>
    /// <param name="part">The samples.</param>
    /// <param name="sums">As many as <paramref name="visit"/> adds to; summed over the ranks after every batch.</param>
    /// <param name="visit">First sample's place in the part, scores (n, K), labels (n), and where to add this rank's sums.</param>
    /// <param name="batchDone">Called on every rank after each batch.</param>
    /// <param name="cancellationToken">The process must end.</param>
    /// <returns>False when a stop has been asked for: all ranks leave at the same batch.</returns>
    public bool Run(ImagePart part, Memory<double> sums, Action<int, Tensor, Tensor, Memory<double>> visit, Action batchDone,
        CancellationToken cancellationToken)
    {
        setup.Network.eval();
        using var guard = no_grad();
        using var batches = new BatchPrefetcher(
            new BatchPass(part, setup.Renderer, Visit.Evaluation, setup.MaxBrokenImages, setup.Placement.TakesLevels),
            BatchSchedule.Evaluation(EpochOrder.InOrder(part.Count), setup.GlobalBatchSize, Share),
            setup.LoaderThreads, TimeProvider.System);
        var broken = new BrokenCount(setup.MaxBrokenImages, logger);
        var first = 0;
        while (batches.TryTake(out var batch, cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            broken.Note(batch.Broken);
            // The last are whether anybody has been asked to stop, and pictures that are broken: one exchange a batch serves all.
            var exchanged = new double[sums.Length + 2];
            using (batch)
            {
                if (batch.Samples > 0)
                {
                    var placed = setup.Placement.Place(batch, step: 0);
                    visit(first + Share(batch.GlobalSize).Start.Value, LocalPass.AverageViews(
                        MixedPrecision.Widened(setup.Network.call(placed.Images)), placed.Views), placed.Labels, exchanged);
                }

                first += batch.GlobalSize;
            }

            (exchanged[^2], exchanged[^1]) = (stop.IsRequested ? 1 : 0, broken.TakeNew());
            if (setup.Group.WorldSize > 1)
                setup.Group.AllReduce<double>(exchanged, "evaluation");
            for (var i = 0; i < sums.Length; i++)
                sums.Span[i] += exchanged[i];
            broken.Agree((int)exchanged[^1]);
            batchDone();
            if (exchanged[^2] > 0)
                return false;
        }

        return true;
    }

    private Range Share(int globalBatchSize)
    {
        var (start, count) = Slices.Of(globalBatchSize, setup.Group.WorldSize, setup.Group.Rank);
        return new Range(start, start + count);
    }
}
