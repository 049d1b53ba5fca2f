using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// Adam: Kingma and Ba 2014, arXiv:1412.6980, Algorithm 1, with PyTorch's placement of ε (added to √v̂). Weight decay is L2, in the
/// gradient; or decoupled from it, w ← w − ηλw before the step: AdamW, Loshchilov and Hutter 2017, arXiv:1711.05101, Algorithm 2.
/// </summary>
public sealed class Adam : IOptimizer
{
    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly Tensor[] _means;
    private readonly Tensor[] _squares;
    private readonly double _beta1;
    private readonly double _beta2;
    private readonly double _epsilon;
    private readonly double _weightDecay;
    private readonly bool _decayIsDecoupled;

    public Adam(
        IReadOnlyList<LocalParameter> parameters, double beta1, double beta2, double epsilon, double weightDecay, bool decayIsDecoupled)
    {
        _parameters = parameters;
        (_beta1, _beta2, _epsilon, _weightDecay, _decayIsDecoupled) = (beta1, beta2, epsilon, weightDecay, decayIsDecoupled);
        _means = OptimizerState.Zeros(parameters);
        _squares = OptimizerState.Zeros(parameters);
        State = [.. OptimizerState.Of(parameters, "exp_avg", _means), .. OptimizerState.Of(parameters, "exp_avg_sq", _squares)];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var rootCorrection = Math.Sqrt(1 - Math.Pow(_beta2, step + 1));
        var rate = learningRate / (1 - Math.Pow(_beta1, step + 1));
        var rule = new Rule(this, learningRate, rate, rootCorrection);
        for (var i = 0; i < _parameters.Count; i++)
        {
            var weight = _parameters[i].Tensor;
            var gradient = _parameters[i].Gradient;
            if (FusedUpdate.Fits(weight, gradient))
                FusedUpdate.Run(rule, weight, gradient, _means[i], _squares[i]);
            else
                ByOperators(i, weight, gradient, learningRate, rate, rootCorrection);
        }
    }

    public void Dispose()
    {
        foreach (var tensor in _means.Concat(_squares))
            tensor.Dispose();
    }

    private void ByOperators(int i, Tensor weight, Tensor gradient, double learningRate, double rate, double rootCorrection)
    {
        using Scalar weightDecay = _weightDecay;
        using Scalar keepWeight = 1 - (learningRate * _weightDecay);
        using Scalar keepMean = _beta1;
        using Scalar takeMean = 1 - _beta1;
        using Scalar keepSquare = _beta2;
        using Scalar takeSquare = 1 - _beta2;
        using Scalar epsilon = _epsilon;
        using Scalar correction = rootCorrection;
        using Scalar back = -rate;
        if (_decayIsDecoupled)
            weight.mul_(keepWeight);
        else if (_weightDecay != 0)
            gradient = gradient.add(weight, weightDecay);
        _means[i].mul_(keepMean).add_(gradient, takeMean);
        _squares[i].mul_(keepSquare).addcmul_(gradient, gradient, takeSquare);
        weight.addcdiv_(_means[i], _squares[i].sqrt().div_(correction).add_(epsilon), back);
    }

    private readonly unsafe struct Rule(Adam adam, double learningRate, double rate, double rootCorrection) : IUpdateRule
    {
        private readonly Vector512<float> keepWeight = Of(adam._decayIsDecoupled ? 1 - (learningRate * adam._weightDecay) : 1);
        private readonly Vector512<float> weightDecay = Of(adam._decayIsDecoupled ? 0 : adam._weightDecay);
        private readonly Vector512<float> keepMean = Of(adam._beta1);
        private readonly Vector512<float> takeMean = Of(1 - adam._beta1);
        private readonly Vector512<float> keepSquare = Of(adam._beta2);
        private readonly Vector512<float> takeSquare = Of(1 - adam._beta2);
        private readonly Vector512<float> epsilon = Of(adam._epsilon);
        private readonly Vector512<float> rate = Of(rate);
        private readonly Vector512<float> rootCorrection = Of(rootCorrection);

        public static int States => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Apply(float* gradient, float* weight, float* mean, float* square)
        {
            var kept = keepWeight * Vector512.Load(weight);
            var slope = Vector512.Load(gradient) + (weightDecay * kept);
            var newMean = (keepMean * Vector512.Load(mean)) + (takeMean * slope);
            var newSquare = (keepSquare * Vector512.Load(square)) + (takeSquare * slope * slope);
            newMean.Store(mean);
            newSquare.Store(square);
            (kept - (rate * newMean / ((Vector512.Sqrt(newSquare) / rootCorrection) + epsilon))).Store(weight);
        }

        private static Vector512<float> Of(double value) => Vector512.Create((float)value);
    }
}
