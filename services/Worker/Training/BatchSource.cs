using Cluster.Worker.Data;

namespace Cluster.Worker.Training;

/// <summary>The passes over the data that a loop makes, each with its batches rendered ahead.</summary>
internal sealed class BatchSource(TrainingSetup setup)
{
    /// <summary>An epoch's training batches, from the one that a resumed run is due.</summary>
    public BatchPrefetcher Training(int epoch, int firstBatch)
    {
        var seed = setup.Spec.Seed;
        var augmentation = setup.Spec.Data.Augmentation ?? new();
        var order = EpochOrder.Shuffled(seed, epoch, setup.Data.Train.Count);
        return new BatchPrefetcher(
            setup.Data.Train,
            setup.Renderer,
            sample => SampleView.Random(seed, epoch, sample, augmentation.CropPadding, augmentation.Flip),
            BatchSchedule.Training(order, GlobalBatchSize, Share, firstBatch));
    }

    /// <summary>Every sample of a part once, as stored.</summary>
    public BatchPrefetcher Evaluation(ImagePart part) =>
        new(part, setup.Renderer, _ => SampleView.Plain, BatchSchedule.Evaluation(EpochOrder.InOrder(part.Count), GlobalBatchSize, Share));

    /// <summary>The training batch's size serves evaluation too: what fits with gradients fits without.</summary>
    private int GlobalBatchSize => setup.Spec.Hyperparameters.GlobalBatchSize;

    private Range Share(int globalBatchSize)
    {
        var local = setup.Partition.LocalSamples(globalBatchSize);
        return new Range(local.Start, local.Start + local.Count);
    }
}
