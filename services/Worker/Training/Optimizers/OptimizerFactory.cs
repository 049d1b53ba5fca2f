using Cluster.Contracts.V1;
using Cluster.Worker.Parallel;
using TorchSharp;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>Optimizers by the name that a job file gives.</summary>
public static class OptimizerFactory
{
    /// <summary>The one that measures whole tensors.</summary>
    private const string OfWholeTensors = "lars";

    /// <summary>
    /// The optimizer of a rank's part of a run: divided over the ranks where the gradients' sums are, flat where a GPU steps.
    /// </summary>
    /// <exception cref="JobMisconfiguredException">There is no optimizer of that name.</exception>
    public static IOptimizer Create(OptimizerSpec spec, ITrainingPartition partition)
    {
        if (partition.FlatGradients is GradientBuckets { IsSharded: true } buckets)
            return new ShardedOptimizer(buckets, share => Create(spec, share));
        return partition.Parameters is [{ Tensor.device_type: DeviceType.CUDA }, ..] && spec.Name != OfWholeTensors
            ? new FlatOptimizer(partition.Parameters, partition.FlatGradients, flat => Create(spec, flat))
            : Create(spec, partition.Parameters);
    }

    /// <exception cref="JobMisconfiguredException">There is no optimizer of that name.</exception>
    public static IOptimizer Create(OptimizerSpec spec, IReadOnlyList<LocalParameter> parameters) => spec.Name switch
    {
        "sgd" => new Sgd(parameters, spec.Momentum, spec.WeightDecay, spec.Nesterov),
        "adam" => new Adam(parameters, spec.Beta1, spec.Beta2, spec.Epsilon, spec.WeightDecay, decayIsDecoupled: false),
        "adamw" => new Adam(parameters, spec.Beta1, spec.Beta2, spec.Epsilon, spec.WeightDecay, decayIsDecoupled: true),
        "rmsprop" => new RmsProp(parameters, spec.Decay, spec.Epsilon, spec.Momentum, spec.WeightDecay),
        OfWholeTensors => new Lars(parameters, spec.TrustCoefficient, spec.Momentum, spec.WeightDecay),
        _ => throw new JobMisconfiguredException(
            $"hyperparameters.optimizer.name is {spec.Name}; choose sgd, adam, adamw, rmsprop or lars"),
    };
}
