using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// RMSProp (Tieleman and Hinton 2012, lecture 6.5) with momentum on the scaled gradient, as Inception v3 was trained (Szegedy et al. 2015,
/// arXiv:1512.00567, §8): s ← ρs + (1 − ρ)g², v ← μv + g/(√s + ε), w ← w − ηv.
/// </summary>
/// <remarks>
/// PyTorch's formulas: ε is added to the root and s begins at 0. TensorFlow, which that network was trained with, takes √(s + ε), begins s
/// at 1 and folds η into v. With the paper's ε of 1 both divide by nearly 1 while gradients are small.
/// </remarks>
public sealed class RmsProp : IOptimizer
{
    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly Tensor[] _squares;
    private readonly Tensor[] _velocities;
    private readonly double _decay;
    private readonly double _epsilon;
    private readonly double _momentum;
    private readonly double _weightDecay;

    public RmsProp(IReadOnlyList<LocalParameter> parameters, double decay, double epsilon, double momentum, double weightDecay)
    {
        _parameters = parameters;
        (_decay, _epsilon, _momentum, _weightDecay) = (decay, epsilon, momentum, weightDecay);
        _squares = OptimizerState.Zeros(parameters);
        _velocities = momentum == 0 ? [] : OptimizerState.Zeros(parameters);
        State = [.. OptimizerState.Of(parameters, "square_avg", _squares),
            .. OptimizerState.Of(parameters, "momentum_buffer", _velocities)];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var scaling = new Scaling(this, learningRate);
        for (var i = 0; i < _parameters.Count; i++)
        {
            var weight = _parameters[i].Tensor;
            var gradient = _parameters[i].Gradient;
            if (!FusedUpdate.Fits(weight, gradient))
                ByOperators(i, weight, gradient, learningRate);
            else if (_velocities.Length == 0)
                FusedUpdate.Run(scaling, weight, gradient, _squares[i]);
            else
                FusedUpdate.Run(new Momentum(scaling, Vector512.Create((float)_momentum)), weight, gradient, _squares[i], _velocities[i]);
        }
    }

    public void Dispose()
    {
        foreach (var tensor in _squares.Concat(_velocities))
            tensor.Dispose();
    }

    private void ByOperators(int i, Tensor weight, Tensor gradient, double learningRate)
    {
        using Scalar weightDecay = _weightDecay;
        using Scalar keepSquare = _decay;
        using Scalar takeSquare = 1 - _decay;
        using Scalar epsilon = _epsilon;
        using Scalar momentum = _momentum;
        using Scalar one = 1.0;
        using Scalar rate = -learningRate;
        if (_weightDecay != 0)
            gradient = gradient.add(weight, weightDecay);
        _squares[i].mul_(keepSquare).addcmul_(gradient, gradient, takeSquare);
        var root = _squares[i].sqrt().add_(epsilon);
        if (_velocities.Length == 0)
            weight.addcdiv_(gradient, root, rate);
        else
            weight.add_(_velocities[i].mul_(momentum).addcdiv_(gradient, root, one), rate);
    }

    private readonly unsafe struct Scaling(RmsProp rmsProp, double learningRate) : IUpdateRule
    {
        private readonly Vector512<float> weightDecay = Of(rmsProp._weightDecay);
        private readonly Vector512<float> keepSquare = Of(rmsProp._decay);
        private readonly Vector512<float> takeSquare = Of(1 - rmsProp._decay);
        private readonly Vector512<float> epsilon = Of(rmsProp._epsilon);

        public static int States => 1;

        public Vector512<float> Rate { get; } = Of(learningRate);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Apply(float* gradient, float* weight, float* square, float* second)
        {
            var before = Vector512.Load(weight);
            (before - (Rate * Scaled(Vector512.Load(gradient), before, square))).Store(weight);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Scaled(Vector512<float> gradient, Vector512<float> weight, float* square)
        {
            var slope = gradient + (weightDecay * weight);
            var newSquare = (keepSquare * Vector512.Load(square)) + (takeSquare * slope * slope);
            newSquare.Store(square);
            return slope / (Vector512.Sqrt(newSquare) + epsilon);
        }

        private static Vector512<float> Of(double value) => Vector512.Create((float)value);
    }

    private readonly unsafe struct Momentum(Scaling scaling, Vector512<float> momentum) : IUpdateRule
    {
        public static int States => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Apply(float* gradient, float* weight, float* square, float* velocity)
        {
            var before = Vector512.Load(weight);
            var moved = (momentum * Vector512.Load(velocity)) + scaling.Scaled(Vector512.Load(gradient), before, square);
            moved.Store(velocity);
            (before - (scaling.Rate * moved)).Store(weight);
        }
    }
}
