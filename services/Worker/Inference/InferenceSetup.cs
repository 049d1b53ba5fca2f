using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Training;

namespace Cluster.Worker.Inference;

/// <summary>
/// Everything that a job without training turns on: the whole network on every rank, and each rank its share of every batch.
/// </summary>
internal sealed record InferenceSetup(
    ImageClassifier Network, ISampleRenderer Renderer, LoaderThreads LoaderThreads, ICollectiveGroup Group, int GlobalBatchSize,
    int MaxBrokenImages, BatchPlacement Placement);
