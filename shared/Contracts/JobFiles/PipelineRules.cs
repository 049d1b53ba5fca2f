using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>What a pipeline asks of a job: stages that the network has units for, and micro-batches that each have a sample.</summary>
internal static class PipelineRules
{
    public static IEnumerable<JobFileViolation> Faults(JobSpec spec, ModelDefinition model)
    {
        if (StagesFault(spec, model) is { } fault)
        {
            yield return fault;
            yield break;
        }

        var training = spec.Hyperparameters;
        if (training.AccumulationSteps > 1)
        {
            yield return new("hyperparameters.accumulationSteps", $"{training.AccumulationSteps}",
                "parallelism is pipeline, whose micro-batches accumulate gradients already",
                "leave it out and raise hyperparameters.microBatches");
        }

        if (training.GlobalBatchSize / spec.Mesh.Data is > 0 and var share && training.MicroBatches > share)
        {
            yield return new("hyperparameters.microBatches", $"{training.MicroBatches}",
                $"a pipeline has {share} samples of a global batch and each micro-batch needs one", $"use {share} or less");
        }
    }

    private static JobFileViolation? StagesFault(JobSpec spec, ModelDefinition model)
    {
        if (model.Units == 0)
        {
            return new("parallelism", "pipeline", $"{model.Name} is no sequence that could be cut into stages, since its layers branch",
                "use data, " + "or a model such as "
                    + $"{string.Join(" or ", ModelCatalog.All.Where(other => other.Units > 0).Take(3).Select(other => other.Name))}");
        }

        var (stages, field) = (spec.Mesh.Pipeline, spec.Mesh.Data == 1 ? "resources.devices" : "mesh.pipeline");
        if (stages == 1)
            return new(field, "1", "parallelism is pipeline, which takes several devices", "use 2 or more, or parallelism data");
        return stages > model.Units
            ? new(field, $"{stages}", $"parallelism is pipeline and {model.Name} has {model.Units} units to make stages of",
                $"use {model.Units} or less, or a mesh with a data axis")
            : null;
    }
}
