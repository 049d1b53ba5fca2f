using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>What is allowed and yet seldom meant, in words with their remedy.</summary>
public static class JobSpecWarnings
{
    /// <summary>
    /// Batch statistics of fewer samples are rough: Wu and He 2018, arXiv:1803.08494, fig. 1, see the error rise from 16 samples a device
    /// downwards.
    /// </summary>
    private const int FewestSamplesPerRank = 16;

    /// <param name="spec">With every default written down.</param>
    public static IEnumerable<string> Of(JobSpec spec)
    {
        var normalises = ModelCatalog.TryGet(spec.Model.Name, out var model) && model.BatchNorm;
        var samples = SamplesNormalisedTogether(spec);
        if (normalises && samples < Math.Min(FewestSamplesPerRank, spec.Hyperparameters.GlobalBatchSize))
        {
            yield return $"{spec.Model.Name} normalises {(samples == 1 ? "each sample" : $"{samples} samples")} by their own mean and "
                + $"variance, and below {FewestSamplesPerRank} those are rough; "
                + "raise hyperparameters.globalBatchSize, or set hyperparameters.syncBatchNorm to true";
        }
    }

    private static int SamplesNormalisedTogether(JobSpec spec)
    {
        var training = spec.Hyperparameters;
        var slices = training.SyncBatchNorm
            ? 1
            : spec.Parallelism == Parallelism.Hybrid
            ? spec.Resources.Devices
            : Math.Max(1, spec.Mesh.Data);
        var passes = spec.Parallelism == Parallelism.Pipeline ? training.MicroBatches : training.AccumulationSteps;
        return Math.Max(1, training.GlobalBatchSize / slices / Math.Max(1, passes));
    }
}
