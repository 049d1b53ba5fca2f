using Cluster.Models;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>
/// A running average of the weights, a ← a + (1 − d)(w − a): Polyak and Juditsky 1992 averaged all of a run; the exponential form is what
/// Inception v3 was evaluated with (Szegedy et al. 2015, arXiv:1512.00567, §8). Running statistics of batch normalisation are averaged
/// alike, so that they fit the weights.
/// </summary>
/// <remarks>As in TensorFlow's, d is at most (1 + n)/(10 + n) after n steps, or the first weights would weigh on short runs.</remarks>
public sealed class WeightAverage : IDisposable
{
    private readonly double _decay;
    private readonly Averaged[] _tensors;

    /// <summary>Begins with the weights as they are.</summary>
    /// <param name="parameters">That are trained.</param>
    /// <param name="network">With running statistics, or without.</param>
    /// <param name="decay">d.</param>
    /// <param name="statistics">Those of them that each rank keeps for itself: so are their averages.</param>
    public WeightAverage(IReadOnlyList<LocalParameter> parameters, ImageClassifier network, double decay, RankStatistics? statistics = null)
    {
        _decay = decay;
        _tensors =
        [
            .. parameters.Select(p => (p.Name, p.Tensor)).Concat(network.Buffers())
                .Select(t => new Averaged(t.Item1, t.Item2, t.Item2.detach().clone().DetachFromDisposeScope())),
        ];
        foreach (var (name, _) in statistics?.Running.ToList() ?? [])
            statistics!.Include("average." + name, Of(name));
    }

    /// <summary>The average of a parameter or buffer.</summary>
    public Tensor Of(string name) => _tensors.Single(tensor => tensor.Name == name).Average;

    /// <summary>Begins again with the weights as they are now.</summary>
    public void Restart()
    {
        using var guard = no_grad();
        foreach (var tensor in _tensors)
            tensor.Average.copy_(tensor.Current);
    }

    /// <param name="step">The one just taken, from 0.</param>
    public void Update(long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var stepsDone = step + 1.0;
        using Scalar share = 1 - Math.Min(_decay, (1 + stepsDone) / (10 + stepsDone));
        foreach (var tensor in _tensors)
            tensor.Average.add_(tensor.Current.sub(tensor.Average), share);
    }

    /// <summary>Puts the average in the weights' place until the result is disposed.</summary>
    public IDisposable InPlace()
    {
        Exchange();
        return new Restoration(this);
    }

    public void Dispose()
    {
        foreach (var tensor in _tensors)
            tensor.Average.Dispose();
    }

    private void Exchange()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        foreach (var tensor in _tensors)
        {
            var current = tensor.Current.clone();
            tensor.Current.copy_(tensor.Average);
            tensor.Average.copy_(current);
        }
    }

    private sealed record Averaged(string Name, Tensor Current, Tensor Average);

    private sealed class Restoration(WeightAverage average) : IDisposable
    {
        public void Dispose() => average.Exchange();
    }
}
