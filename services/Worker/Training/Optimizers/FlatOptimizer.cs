using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// An optimizer of parameters that lie one after the other in one tensor, as its state does: a step is then a handful of a GPU's kernels,
/// where a deep network's would be some hundreds, each of which takes longer to start than to run.
/// </summary>
/// <remarks>Works element by element, so the sums are those of an optimizer of the single parameters.</remarks>
public sealed class FlatOptimizer : IOptimizer
{
    /// <summary>Each parameter begins where kernels can load the most at once.</summary>
    private const long AlignmentElements = 64;

    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly long[] _offsets;
    private readonly Tensor _weights;
    private readonly Tensor _gap; // zeros, for the gradient of what lies between parameters
    private readonly IOptimizer _whole;

    /// <param name="parameters">All of one type, on one device. Their memory is exchanged for a part of one tensor.</param>
    /// <param name="create">Makes the optimizer of that tensor.</param>
    public FlatOptimizer(IReadOnlyList<LocalParameter> parameters, Func<IReadOnlyList<LocalParameter>, IOptimizer> create)
    {
        _parameters = parameters;
        _offsets = new long[parameters.Count];
        var end = 0L;
        for (var i = 0; i < parameters.Count; i++)
        {
            _offsets[i] = end;
            end += Padded(parameters[i].Tensor.numel());
        }

        var first = parameters[0].Tensor;
        _weights = zeros(end, dtype: first.dtype, device: first.device).DetachFromDisposeScope();
        _gap = zeros(AlignmentElements, dtype: first.dtype, device: first.device).DetachFromDisposeScope();
        using (NewDisposeScope())
        using (no_grad())
        {
            foreach (var (parameter, place) in parameters.Zip(Places(_weights)))
                parameter.Tensor.set_(place.copy_(parameter.Tensor));
        }

        _whole = create([new LocalParameter("", _weights, [end], [0], IsOwner: true)]);
        State = [.. _whole.State.SelectMany(state => parameters.Zip(Places(state.Tensor),
            (parameter, place) => state with { Parameter = parameter.Name, Tensor = place.DetachFromDisposeScope() }))];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        _weights.grad = cat(_parameters.SelectMany(GradientAndGap).ToArray(), 0);
        _whole.Step(learningRate, step);
        _weights.grad = null;
    }

    public void Dispose()
    {
        foreach (var state in State)
            state.Tensor.Dispose();
        _whole.Dispose();
        _weights.Dispose();
        _gap.Dispose();
    }

    private static long Padded(long elements) => (elements + AlignmentElements - 1) / AlignmentElements * AlignmentElements;

    private IEnumerable<Tensor> Places(Tensor flat) =>
        _parameters.Zip(_offsets, (parameter, offset) => flat.narrow(0, offset, parameter.Tensor.numel()).view(parameter.Tensor.shape));

    private IEnumerable<Tensor> GradientAndGap(LocalParameter parameter)
    {
        var elements = parameter.Tensor.numel();
        yield return parameter.Gradient.reshape(elements);
        if (Padded(elements) > elements)
            yield return _gap.narrow(0, 0, Padded(elements) - elements);
    }
}
