using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using TorchSharp;

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
    /// As many as the job says. Otherwise, beside a GPU, one for each of the rank's cores but that of the training thread, which only
    /// launches kernels; on CPUs, whose cores compute, one for pictures that lie ready, and one a core for those that must be decoded. As
    /// long as these do not suffice, one more, up to the rank's cores.
    /// </summary>
    public static LoaderThreads Threads(DataSpec spec, DataDefinition data, int cores, DeviceType device)
    {
        if (spec.LoaderThreads > 0)
            return new LoaderThreads(spec.LoaderThreads, spec.LoaderThreads);
        var most = Math.Max(1, cores);
        var first = device == DeviceType.CUDA ? Math.Max(1, cores - 1) : data.IsFolder ? most : 1;
        return new LoaderThreads(first, most);
    }

    /// <summary>As many views as one pass of a training step has: what fits with gradients fits without.</summary>
    /// <param name="passSize">Samples that a training step computes at a time, all ranks together.</param>
    /// <param name="renderer">That knows how many views a sample has.</param>
    public static int EvaluationBatchSize(int passSize, ISampleRenderer renderer) =>
        Math.Max(1, passSize / renderer.Views(Visit.Evaluation));

    private int GlobalBatchSize => setup.Spec.Hyperparameters.GlobalBatchSize;

    private BatchPrefetcher Open(ImagePart part, Visit visit, IEnumerable<BatchSamples> batches) => new(
        new BatchPass(part, setup.Renderer, visit, setup.Spec.Data.MaxBrokenImages, setup.Placement.TakesLevels), batches,
        setup.LoaderThreads, TimeProvider.System);

    private Range Share(int globalBatchSize)
    {
        var local = setup.Partition.LocalSamples(globalBatchSize);
        return new Range(local.Start, local.Start + local.Count);
    }
}
