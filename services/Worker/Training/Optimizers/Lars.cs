using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// Layer-wise adaptive rate scaling: You, Gitman and Ginsburg 2017, arXiv:1708.03888, Algorithm 1. A layer's rate is η·‖w‖/(‖g‖ + β‖w‖)
/// times the global one: v ← μv + γ·λ·(g + βw), w ← w − v, with γ the learning rate, λ the layer's ratio and β the weight decay.
/// </summary>
/// <remarks>
/// Biases and the scales and shifts of normalisation, which are the tensors with one dim, take plain momentum steps of rate γ without
/// weight decay: the paper leaves open what becomes of them, and a bias that starts at zero would never leave it. A weight or gradient of
/// norm zero takes ratio 1. Norms are of whole tensors, so a rank must hold them whole.
/// </remarks>
public sealed class Lars : IOptimizer
{
    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly Tensor[] _velocities;
    private readonly double _trustCoefficient;
    private readonly double _momentum;
    private readonly double _weightDecay;

    /// <exception cref="JobMisconfiguredException">A parameter is only a part of its tensor.</exception>
    public Lars(IReadOnlyList<LocalParameter> parameters, double trustCoefficient, double momentum, double weightDecay)
    {
        if (parameters.FirstOrDefault(p => !p.Shape.SequenceEqual(p.GlobalShape)) is { } part)
        {
            throw new JobMisconfiguredException(
                $"hyperparameters.optimizer.name is lars, which measures whole tensors, but a device holds only a part of {part.Name}; "
                    + "use another optimizer, or parallelism data");
        }

        _parameters = parameters;
        (_trustCoefficient, _momentum, _weightDecay) = (trustCoefficient, momentum, weightDecay);
        _velocities = OptimizerState.Zeros(parameters);
        State = [.. OptimizerState.Of(parameters, "momentum_buffer", _velocities)];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using Scalar momentum = _momentum;
        for (var i = 0; i < _parameters.Count; i++)
        {
            var weight = _parameters[i].Tensor;
            var gradient = _parameters[i].Gradient;
            var isScaled = weight.dim() > 1;
            var decay = isScaled ? _weightDecay : 0;
            using Scalar weightDecay = decay;
            using Scalar rate = learningRate * (isScaled ? TrustRatio(weight, gradient) : 1);
            _velocities[i].mul_(momentum).add_(decay == 0 ? gradient : gradient.add(weight, weightDecay), rate);
            weight.sub_(_velocities[i]);
        }
    }

    public void Dispose()
    {
        foreach (var velocity in _velocities)
            velocity.Dispose();
    }

    private double TrustRatio(Tensor weight, Tensor gradient)
    {
        var (weightNorm, gradientNorm) = (TensorNorm.Of(weight), TensorNorm.Of(gradient));
        return weightNorm == 0 || gradientNorm == 0 ? 1 : _trustCoefficient * weightNorm / (gradientNorm + (_weightDecay * weightNorm));
    }
}
