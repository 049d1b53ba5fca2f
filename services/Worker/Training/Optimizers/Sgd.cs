using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// Stochastic gradient descent with momentum and L2 weight decay, in PyTorch's formulation: v ← μv + (g + λw), w ← w − ηv (Nesterov: w −
/// η(g + λw + μv)).
/// </summary>
/// <remarks>The paper's AlexNet folds η into v; the two differ only while the learning rate changes.</remarks>
public sealed class Sgd : IOptimizer
{
    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly Tensor[] _velocities;
    private readonly double _momentum;
    private readonly double _weightDecay;
    private readonly bool _nesterov;

    public Sgd(IReadOnlyList<LocalParameter> parameters, double momentum, double weightDecay, bool nesterov)
    {
        _parameters = parameters;
        (_momentum, _weightDecay, _nesterov) = (momentum, weightDecay, nesterov);
        _velocities = momentum == 0 ? [] : OptimizerState.Zeros(parameters);
        State = [.. OptimizerState.Of(parameters, "momentum_buffer", _velocities)];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var (rate, momentum, weightDecay) = (
            Vector512.Create((float)learningRate), Vector512.Create((float)_momentum), Vector512.Create((float)_weightDecay));
        for (var i = 0; i < _parameters.Count; i++)
        {
            var weight = _parameters[i].Tensor;
            var gradient = _parameters[i].Gradient; // may lie in memory that other ranks read: left as it is
            if (!FusedUpdate.Fits(weight, gradient))
                ByOperators(weight, gradient, _velocities.ElementAtOrDefault(i), learningRate);
            else if (_velocities.Length == 0)
                FusedUpdate.Run(new Plain(rate, weightDecay), weight, gradient);
            else if (_nesterov)
                FusedUpdate.Run(new Nesterov(rate, momentum, weightDecay), weight, gradient, _velocities[i]);
            else
                FusedUpdate.Run(new Momentum(rate, momentum, weightDecay), weight, gradient, _velocities[i]);
        }
    }

    public void Dispose()
    {
        foreach (var velocity in _velocities)
            velocity.Dispose();
    }

    private void ByOperators(Tensor weight, Tensor gradient, Tensor? velocity, double learningRate)
    {
        using Scalar rate = -learningRate;
        using Scalar momentum = _momentum;
        using Scalar weightDecay = _weightDecay;
        var decayed = _weightDecay == 0 ? gradient : gradient.add(weight, weightDecay);
        if (velocity is null)
            weight.add_(decayed, rate);
        else if (_nesterov)
            weight.add_(decayed.add(velocity.mul_(momentum).add_(decayed), momentum), rate);
        else
            weight.add_(velocity.mul_(momentum).add_(decayed), rate);
    }

    private readonly unsafe struct Plain(Vector512<float> rate, Vector512<float> weightDecay) : IUpdateRule
    {
        public static int States => 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Apply(float* gradient, float* weight, float* first, float* second)
        {
            var before = Vector512.Load(weight);
            (before - (rate * (Vector512.Load(gradient) + (weightDecay * before)))).Store(weight);
        }
    }

    private readonly unsafe struct Momentum(Vector512<float> rate, Vector512<float> momentum, Vector512<float> weightDecay) : IUpdateRule
    {
        public static int States => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Apply(float* gradient, float* weight, float* velocity, float* second)
        {
            var before = Vector512.Load(weight);
            var moved = (momentum * Vector512.Load(velocity)) + (Vector512.Load(gradient) + (weightDecay * before));
            moved.Store(velocity);
            (before - (rate * moved)).Store(weight);
        }
    }

    private readonly unsafe struct Nesterov(Vector512<float> rate, Vector512<float> momentum, Vector512<float> weightDecay) : IUpdateRule
    {
        public static int States => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Apply(float* gradient, float* weight, float* velocity, float* second)
        {
            var before = Vector512.Load(weight);
            var decayed = Vector512.Load(gradient) + (weightDecay * before);
            var moved = (momentum * Vector512.Load(velocity)) + decayed;
            moved.Store(velocity);
            (before - (rate * (decayed + (momentum * moved)))).Store(weight);
        }
    }
}
