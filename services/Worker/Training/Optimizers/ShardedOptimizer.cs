using Cluster.Contracts.Safetensors;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>
/// An optimizer whose state, and of whose gradient the sum, is divided over ranks with the same parameters: ZeRO, Rajbhandari et al.
/// 2019, arXiv:1910.02054, §5.2 (stage 2, but that a rank's own gradients stay where they are).
/// </summary>
/// <remarks>
/// Each rank updates its share of every bucket while the parameters of the one before are gathered. The sums are those of an undivided
/// optimizer, so are the bits.
/// </remarks>
public sealed class ShardedOptimizer : IOptimizer
{
    private readonly GradientBuckets _buckets;
    private readonly Tensor _weights; // all parameters, laid out as their gradients are
    private readonly Share?[] _shares; // this rank's of each bucket; null where it has none

    /// <param name="buckets">Sharded. The memory of their parameters is exchanged for a part of one tensor.</param>
    /// <param name="create">Makes the optimizer of a share.</param>
    internal ShardedOptimizer(GradientBuckets buckets, Func<IReadOnlyList<LocalParameter>, IOptimizer> create)
    {
        _buckets = buckets;
        _weights = buckets.Layout.MoveParameters();
        _shares = [.. Enumerable.Range(0, buckets.Count).Select(ShareOf)];
        State = [.. _shares.OfType<Share>().SelectMany(share => share.Optimizer.State.SelectMany(state => Divide(state, share)))];

        Share? ShareOf(int bucket)
        {
            var (start, count) = buckets.ShareOf(bucket);
            if (count == 0)
                return null;
            using var gradient = buckets.Flat.narrow(0, start, count);
            var weights = _weights.narrow(0, start, count).DetachFromDisposeScope();
            weights.grad = gradient;
            var whole = buckets.Layout.Buckets[bucket];
            var part = new LocalParameter($"bucket {bucket}", weights, [whole.Count], [start - whole.Start], IsOwner: true);
            return new Share(start, weights, create([part]));
        }
    }

    public IReadOnlyList<OptimizerState> State { get; }

    public void Step(double learningRate, long step)
    {
        var gathering = new List<Task>(_shares.Length);
        for (var bucket = 0; bucket < _shares.Length; bucket++)
        {
            _shares[bucket]?.Optimizer.Step(learningRate, step);
            gathering.Add(_buckets.Layout.ElementBytes == sizeof(double) ? Gather<double>(bucket) : Gather<float>(bucket));
        }

        foreach (var gathered in gathering)
            gathered.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        foreach (var state in State)
            state.Tensor.Dispose();
        foreach (var share in _shares)
            share?.Dispose();
        _weights.Dispose();
    }

    private Task Gather<T>(int bucket)
        where T : unmanaged
    {
        var (start, count) = _buckets.Layout.Buckets[bucket];
        var address = TensorMemory.AddressOf(_weights) + (nint)(start * _buckets.Layout.ElementBytes);
        return _buckets.Group.AllGatherAsync<T>(address, count, $"parameters/{bucket}");
    }

    /// <summary>
    /// A share's state as that of the parameters, or parts of them, that lie in the share: boxes, since checkpoints know no others.
    /// </summary>
    private IEnumerable<OptimizerState> Divide(OptimizerState state, Share share)
    {
        var layout = _buckets.Layout;
        var end = share.Start + state.Tensor.numel();
        foreach (var (parameter, offset) in layout.Parameters.Zip(layout.Offsets))
        {
            var first = Math.Max(share.Start, offset) - offset;
            var last = Math.Min(end, offset + parameter.Tensor.numel()) - offset;
            foreach (var (element, corner, shape) in Shapes.Boxes(parameter.Shape, first, last))
            {
                var elements = shape.Aggregate(1L, (product, size) => product * size);
                using var line = state.Tensor.narrow(0, offset + element - share.Start, elements);
                long[] place = [.. parameter.Offset.Zip(corner, (whole, within) => whole + within)];
                var part = parameter with { Offset = place, IsOwner = true };
                yield return state with { Parameter = part, Tensor = line.view(shape).DetachFromDisposeScope() };
            }
        }
    }

    /// <param name="Start">Among all elements.</param>
    /// <param name="Weights">With their gradients.</param>
    /// <param name="Optimizer">Of these.</param>
    private sealed record Share(long Start, Tensor Weights, IOptimizer Optimizer) : IDisposable
    {
        public void Dispose()
        {
            Optimizer.Dispose();
            Weights.Dispose();
        }
    }
}
