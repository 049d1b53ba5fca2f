using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// An optimizer of parameters that lie one after the other in one tensor, as its state does: a step is then a handful of a GPU's kernels,
/// where a deep network's would be some hundreds, each of which takes longer to start than to run.
/// </summary>
/// <remarks>
/// Works element by element, so the sums are those of an optimizer of the single parameters. Where gradients are flat, parameters and
/// state lie as these do, and the gradients are read where they are; others are put together at every step.
/// </remarks>
public sealed class FlatOptimizer : IOptimizer
{
    private readonly IReadOnlyList<Piece> _pieces;
    private readonly IOptimizer _whole;

    /// <param name="parameters">All of one type, on one device. Their memory is exchanged for a part of one tensor.</param>
    /// <param name="gradients">Of some of them, or of all; null where all lie apart.</param>
    /// <param name="create">Makes the optimizer of the tensors.</param>
    internal FlatOptimizer(
        IReadOnlyList<LocalParameter> parameters, FlatGradients? gradients, Func<IReadOnlyList<LocalParameter>, IOptimizer> create)
    {
        _pieces = [.. PiecesOf(parameters, gradients)];
        _whole = create([.. _pieces.Select(piece => piece.AsParameter())]);
        var byName = _pieces.ToDictionary(piece => piece.Name);
        State = [.. _whole.State.SelectMany(state => byName[state.Parameter.Name].Divide(state))];
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        foreach (var piece in _pieces)
            piece.TakeGradients();
        _whole.Step(learningRate, step);
        foreach (var piece in _pieces)
            piece.DropGradients();
    }

    public void Dispose()
    {
        foreach (var state in State)
            state.Tensor.Dispose();
        _whole.Dispose();
        foreach (var piece in _pieces)
            piece.Dispose();
    }

    private static IEnumerable<Piece> PiecesOf(IReadOnlyList<LocalParameter> parameters, FlatGradients? gradients)
    {
        if (gradients is not null)
            yield return new Piece("flat", gradients.Layout, gradients.Flat);
        IReadOnlyList<LocalParameter> others = gradients is null ? parameters : [.. parameters.Except(gradients.Parameters)];
        if (others.Count > 0)
            yield return new Piece("others", new FlatLayout(others), gradients: null);
    }

    /// <summary>Parameters that lie in one tensor.</summary>
    private sealed class Piece : IDisposable
    {
        private readonly FlatLayout _layout;
        private readonly Tensor _weights;
        private readonly Tensor? _gradients; // null where they lie apart
        private readonly Tensor? _gap; // zeros then, for the gradient of what lies between parameters

        public Piece(string name, FlatLayout layout, Tensor? gradients)
        {
            (Name, _layout, _gradients) = (name, layout, gradients);
            _weights = layout.MoveParameters();
            if (gradients is null)
                _gap = zeros(layout.LargestGap, dtype: _weights.dtype, device: _weights.device).DetachFromDisposeScope();
        }

        public string Name { get; }

        public LocalParameter AsParameter() => new(Name, _weights, [_layout.Elements], [0], IsOwner: true);

        /// <summary>The state of the single parameters, as views.</summary>
        public IEnumerable<OptimizerState> Divide(OptimizerState state) => _layout.Parameters.Zip(
            _layout.Views(state.Tensor),
            (parameter, view) => new OptimizerState(parameter, state.Slot, view.DetachFromDisposeScope()));

        public void TakeGradients() => _weights.grad = _gradients ?? cat([.. GradientsAndGaps()], 0);

        public void DropGradients() => _weights.grad = null;

        public void Dispose()
        {
            _weights.Dispose();
            _gap?.Dispose();
        }

        private IEnumerable<Tensor> GradientsAndGaps()
        {
            var end = 0L;
            foreach (var (parameter, offset) in _layout.Parameters.Zip(_layout.Offsets).OrderBy(pair => pair.Second))
            {
                if (offset > end)
                    yield return _gap!.narrow(0, 0, offset - end);
                var elements = parameter.Tensor.numel();
                yield return parameter.Gradient.reshape(elements);
                end = offset + elements;
            }

            if (_layout.Elements > end)
                yield return _gap!.narrow(0, 0, _layout.Elements - end);
        }
    }
}
