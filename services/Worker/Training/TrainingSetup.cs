using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training.Optimizers;

namespace Cluster.Worker.Training;

/// <summary>Everything that a rank's loop turns on, built once.</summary>
internal sealed record TrainingSetup
{
    public required JobSpec Spec { get; init; }

    /// <summary>Passes in which a rank works through its samples of a step.</summary>
    public int AccumulationSteps => Math.Max(1, Spec.Hyperparameters.AccumulationSteps);

    public required TrainingPlan Plan { get; init; }

    /// <summary>Epochs to be closed before this rank is done: the plan's, or fewer where what follows is decided then.</summary>
    public required int TrainUntil { get; init; }

    public required LearningRateSchedule Schedule { get; init; }

    public required ITrainingPartition Partition { get; init; }

    /// <summary>What this rank computes: the whole network, or its part.</summary>
    public ImageClassifier Network => Partition.Network;

    public required IOptimizer Optimizer { get; init; }

    /// <summary>The weights that evaluation and checkpoints use, where the job averages them.</summary>
    public WeightAverage? Average { get; init; }

    public required ICollectiveGroup Group { get; init; }

    public required DataParts Data { get; init; }

    public required ISampleRenderer Renderer { get; init; }

    /// <summary>That make batches ready.</summary>
    public required LoaderThreads LoaderThreads { get; init; }

    /// <summary>How batches reach the network.</summary>
    public required BatchPlacement Placement { get; init; }

    /// <summary>By which batches get to a GPU ahead of their steps.</summary>
    public DeviceFeed? Feed { get; init; }
}
