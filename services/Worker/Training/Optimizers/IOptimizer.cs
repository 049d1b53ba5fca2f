using Cluster.Worker.Parallel;
using TorchSharp;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// Moves parameters along their gradients. Works element by element, so a rank that holds part of a tensor does just that part of the work;
/// one that cannot (LARS) refuses parts.
/// </summary>
public interface IOptimizer : IDisposable
{
    /// <summary>One update from the parameters' gradients, which it leaves as they are.</summary>
    /// <param name="learningRate">This step's.</param>
    /// <param name="step">From 0.</param>
    void Step(double learningRate, long step);

    /// <summary>What must survive a restart besides the parameters.</summary>
    IReadOnlyList<OptimizerState> State { get; }
}

/// <summary>A tensor that accompanies a parameter: same shape, same place in the whole network.</summary>
/// <param name="Parameter">Name of the parameter.</param>
/// <param name="Slot">PyTorch's name of the state: "momentum_buffer", "exp_avg", "exp_avg_sq", "square_avg".</param>
/// <param name="Tensor">Owned by the optimizer.</param>
public sealed record OptimizerState(string Parameter, string Slot, torch.Tensor Tensor)
{
    internal static torch.Tensor[] Zeros(IReadOnlyList<LocalParameter> parameters) =>
        [.. parameters.Select(p => torch.zeros_like(p.Tensor).DetachFromDisposeScope())];

    /// <summary>One slot of every parameter; none where the optimizer keeps no such tensors.</summary>
    internal static IEnumerable<OptimizerState> Of(IReadOnlyList<LocalParameter> parameters, string slot, torch.Tensor[] tensors) =>
        tensors.Zip(parameters, (tensor, p) => new OptimizerState(p.Name, slot, tensor));
}
