using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Training;

/// <summary>The passes over the data that a loop makes, each with its batches made ready ahead.</summary>
internal sealed class BatchSource(TrainingSetup setup)
{
    /// <summary>An epoch's training batches, from the one that a resumed run is due.</summary>
    public BatchPrefetcher Training(int epoch, int firstBatch)
    {
        var order = EpochOrder.Shuffled(setup.Spec.Seed, epoch, setup.Data.Train.Count);
        return Open(setup.Data.Train, new Visit(epoch), BatchSchedule.Training(order, GlobalBatchSize, Share, firstBatch));
    }

    /// <summary>Every sample of a part once, without augmentation.</summary>
    public BatchPrefetcher Evaluation(ImagePart part) =>
        Open(part, Visit.Evaluation, BatchSchedule.Evaluation(
            EpochOrder.InOrder(part.Count), EvaluationBatchSize(GlobalBatchSize / setup.AccumulationSteps, setup.Renderer), Share));

    /// <summary>
    /// As many as the job says; otherwise one for pictures that lie ready, and one a core for those that must be decoded.
    /// </summary>
    public static int Threads(DataSpec spec, DataDefinition data, int cores) =>
        spec.LoaderThreads > 0 ? spec.LoaderThreads : data.IsFolder ? Math.Max(1, cores) : 1;

    /// <summary>As many views as one pass of a training step has: what fits with gradients fits without.</summary>
    /// <param name="passSize">Samples that a training step computes at a time, all ranks together.</param>
    /// <param name="renderer">That knows how many views a sample has.</param>
    public static int EvaluationBatchSize(int passSize, ISampleRenderer renderer) =>
        Math.Max(1, passSize / renderer.Views(Visit.Evaluation));

    private int GlobalBatchSize => setup.Spec.Hyperparameters.GlobalBatchSize;

    private BatchPrefetcher Open(ImagePart part, Visit visit, IEnumerable<BatchSamples> batches) =>
        new(new BatchPass(part, setup.Renderer, visit, setup.Spec.Data.MaxBrokenImages), batches, setup.LoaderThreads);

    private Range Share(int globalBatchSize)
    {
        var local = setup.Partition.LocalSamples(globalBatchSize);
        return new Range(local.Start, local.Start + local.Count);
    }
}
