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

    /// <summary>Every sample of a part once, as stored.</summary>
    public BatchPrefetcher Evaluation(ImagePart part) =>
        Open(part, Visit.Evaluation, BatchSchedule.Evaluation(EpochOrder.InOrder(part.Count), EvaluationBatchSize, Share));

    /// <summary>A training pass's size serves evaluation too: what fits with gradients fits without.</summary>
    private int EvaluationBatchSize => Math.Max(1, GlobalBatchSize / setup.AccumulationSteps);

    private int GlobalBatchSize => setup.Spec.Hyperparameters.GlobalBatchSize;

    private BatchPrefetcher Open(ImagePart part, Visit visit, IEnumerable<BatchSamples> batches) =>
        new(new BatchPass(part, setup.Renderer, visit), batches, setup.LoaderThreads);

    private Range Share(int globalBatchSize)
    {
        var local = setup.Partition.LocalSamples(globalBatchSize);
        return new Range(local.Start, local.Start + local.Count);
    }
}
