using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// An optimizer whose state is divided over ranks with the same parameters: ZeRO, Rajbhandari et al. 2019, arXiv:1910.02054, §5.1 (stage
/// 1).
/// </summary>
/// <remarks>
/// Each rank updates its rows of every parameter and then gathers the others'. The sums are those of an undivided optimizer, so are the
/// bits.
/// </remarks>
public sealed class ShardedOptimizer : IOptimizer
{
    private readonly ICollectiveGroup _group;
    private readonly IOptimizer _own;
    private readonly IReadOnlyList<LocalParameter>[] _rows; // by rank
    private readonly Tensor _sent; // this rank's rows, one after the other, padded to the longest of all ranks
    private readonly Tensor _received; // W×_sent

    /// <param name="parameters">The same on every rank, their gradients in place for good.</param>
    /// <param name="group">The ranks that share the work.</param>
    /// <param name="create">Makes the optimizer of some rows.</param>
    public ShardedOptimizer(
        IReadOnlyList<LocalParameter> parameters, ICollectiveGroup group, Func<IReadOnlyList<LocalParameter>, IOptimizer> create)
    {
        _group = group;
        _rows = [.. Enumerable.Range(0, group.WorldSize).Select(rank => RowShares.Of(parameters, rank, group.WorldSize))];
        _own = create(Parameters);
        var longest = _rows.Max(rows => rows.Sum(row => row.Tensor.numel()));
        _sent = zeros(longest, dtype: parameters[0].Tensor.dtype, device: parameters[0].Tensor.device).DetachFromDisposeScope();
        _received = zeros([group.WorldSize, longest], dtype: parameters[0].Tensor.dtype, device: parameters[0].Tensor.device)
            .DetachFromDisposeScope();
    }

    /// <summary>This rank's rows, to which <see cref="State"/> belongs.</summary>
    public IReadOnlyList<LocalParameter> Parameters => _rows[_group.Rank];

    public IReadOnlyList<OptimizerState> State => _own.State;

    public void Step(double learningRate, long step)
    {
        _own.Step(learningRate, step);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        foreach (var (row, place) in Places(_group.Rank, _sent))
            place.copy_(row);
        if (_sent.dtype == ScalarType.Float64)
            Gather<double>();
        else
            Gather<float>();
        for (var rank = 0; rank < _group.WorldSize; rank++)
        {
            if (rank == _group.Rank)
                continue;
            foreach (var (row, place) in Places(rank, _received.select(0, rank)))
                row.copy_(place);
        }
    }

    public void Dispose()
    {
        _own.Dispose();
        foreach (var row in _rows.SelectMany(rows => rows))
            row.Tensor.Dispose();
        _sent.Dispose();
        _received.Dispose();
    }

    private void Gather<T>()
        where T : unmanaged =>
        _group.AllGather<T>(TensorMemory.Values<T>(_sent), TensorMemory.Values<T>(_received), "parameters");

    /// <summary>A rank's rows, each with its place in a flat tensor.</summary>
    private IEnumerable<(Tensor Row, Tensor Place)> Places(int rank, Tensor flat)
    {
        var at = 0L;
        foreach (var row in _rows[rank])
        {
            var elements = row.Tensor.numel();
            yield return (row.Tensor, flat.narrow(0, at, elements).view(row.Tensor.shape));
            at += elements;
        }
    }
}
