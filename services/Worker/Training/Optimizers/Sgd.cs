using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>Stochastic gradient descent with momentum and L2 weight decay, in PyTorch's formulation: v ← μv + (g + λw), w ← w − ηv (Nesterov: w − η(g + λw + μv)).</summary>
/// <remarks>The paper's AlexNet folds η into v; the two differ only while the learning rate changes.</remarks>
public sealed class Sgd : IOptimizer
{
    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly Tensor[] _velocities;
    private readonly Scalar _momentum;
    private readonly Scalar _weightDecay;
    private readonly bool _nesterov;
    private readonly bool _decays;

    public Sgd(IReadOnlyList<LocalParameter> parameters, double momentum, double weightDecay, bool nesterov)
    {
        _parameters = parameters;
        (_momentum, _weightDecay, _nesterov, _decays) = (momentum, weightDecay, nesterov, weightDecay != 0);
        _velocities = momentum == 0 ? [] : OptimizerState.Zeros(parameters);
        State = [.. OptimizerState.Of(parameters, "momentum_buffer", _velocities)];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using Scalar rate = -learningRate;
        for (var i = 0; i < _parameters.Count; i++)
        {
            var weight = _parameters[i].Tensor;
            var gradient = OptimizerFactory.GradientOf(_parameters[i]); // may lie in memory that other ranks read: left as it is
            if (_velocities.Length == 0)
            {
                weight.add_(_decays ? gradient.add(weight, _weightDecay) : gradient, rate);
                continue;
            }

            var velocity = _velocities[i].mul_(_momentum).add_(gradient);
            if (_decays)
                velocity.add_(weight, _weightDecay);
            if (!_nesterov)
                weight.add_(velocity, rate);
            else
                weight.add_((_decays ? gradient.add(weight, _weightDecay) : gradient).add(velocity, _momentum), rate);
        }
    }

    public void Dispose()
    {
        foreach (var velocity in _velocities)
            velocity.Dispose();
        _momentum.Dispose();
        _weightDecay.Dispose();
    }
}
