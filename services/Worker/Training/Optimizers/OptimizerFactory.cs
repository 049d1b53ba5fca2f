using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using TorchSharp;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>Optimizers by the name that a job file gives.</summary>
public static class OptimizerFactory
{
    /// <summary>The one that measures whole tensors.</summary>
    private const string OfWholeTensors = "lars";

    /// <summary>The job's optimizer: its state divided over the ranks where the job asks for it, flat where a GPU steps.</summary>
    /// <exception cref="JobMisconfiguredException">There is no optimizer of that name.</exception>
    public static IOptimizer Create(Hyperparameters hyperparameters, IReadOnlyList<LocalParameter> parameters, ICollectiveGroup group)
    {
        if (hyperparameters.ShardOptimizer && group.WorldSize > 1)
            return new ShardedOptimizer(parameters, group, rows => Create(hyperparameters.Optimizer, rows));
        return parameters is [{ Tensor.device_type: DeviceType.CUDA }, ..] && hyperparameters.Optimizer.Name != OfWholeTensors
            ? new FlatOptimizer(parameters, flat => Create(hyperparameters.Optimizer, flat))
            : Create(hyperparameters.Optimizer, parameters);
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
