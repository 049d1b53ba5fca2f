using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>What a range of devices asks of a job: that what it computes does not depend on how many it has.</summary>
/// <remarks>
/// The global batch and the order of samples are the same with any number, and slices of a batch may be of unequal size.
/// </remarks>
internal static class ElasticRules
{
    public static IEnumerable<JobFileViolation> Faults(JobSpec spec, ModelDefinition model)
    {
        var (fewest, most) = (spec.Resources.MinDevices, spec.Resources.Devices);
        if (fewest == 0)
            yield break;
        if (fewest > most)
            yield return new("resources.minDevices", $"{fewest}", $"resources.devices is {most}", $"use {most} or less");
        if (spec.Parallelism != Parallelism.Data)
        {
            yield return new("resources.minDevices", $"{fewest}",
                $"parallelism is {spec.Parallelism.ToString().ToLowerInvariant()}, whose mesh divides the network itself and cannot change "
                    + "while it trains",
                "use parallelism data, or ask for one number of devices");
        }

        if (model.BatchNorm && !spec.Hyperparameters.SyncBatchNorm)
        {
            yield return new("hyperparameters.syncBatchNorm", "false",
                $"{model.Name} would normalise each device's slice of the batch by itself, and its size would change with the devices",
                "set it to true, or ask for one number of devices");
        }
    }
}
