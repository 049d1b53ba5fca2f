using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Where each parameter lies in one tensor of all: of their gradients, of their values, of what an optimizer remembers of them. All that
/// lie alike can be exchanged, and stepped along, a bucket at a time and without a copy between.
/// </summary>
/// <remarks>In reverse order of registration, because backward reaches the last layers first.</remarks>
internal sealed class FlatLayout
{
    /// <summary>Parameters begin on cache lines.</summary>
    private const int AlignmentBytes = 64;

    private readonly long[] _offsets;
    private readonly int[] _bucketOf;
    private readonly List<(long Start, long Count)> _buckets = [];

    /// <param name="parameters">All of one type, on one device.</param>
    /// <param name="bucketBytes">A bucket ends with the parameter that fills it so far; by default there is one.</param>
    public FlatLayout(IReadOnlyList<LocalParameter> parameters, long bucketBytes = long.MaxValue)
    {
        Parameters = parameters;
        ElementBytes = (int)parameters[0].Tensor.ElementSize;
        _offsets = new long[parameters.Count];
        _bucketOf = new int[parameters.Count];
        var alignment = AlignmentBytes / ElementBytes;
        for (var i = parameters.Count - 1; i >= 0; i--)
        {
            if (_buckets.Count == 0 || _buckets[^1].Count * ElementBytes >= bucketBytes)
                _buckets.Add((Elements, 0));
            _offsets[i] = Elements;
            _bucketOf[i] = _buckets.Count - 1;
            Elements += (parameters[i].Tensor.numel() + alignment - 1) / alignment * alignment;
            _buckets[^1] = (_buckets[^1].Start, Elements - _buckets[^1].Start);
        }
    }

    /// <summary>In the order of their registration.</summary>
    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <summary>Where each begins.</summary>
    public IReadOnlyList<long> Offsets => _offsets;

    /// <summary>Which bucket each is in.</summary>
    public IReadOnlyList<int> BucketOf => _bucketOf;

    /// <summary>One behind the other, from the tensor's beginning to its end.</summary>
    public IReadOnlyList<(long Start, long Count)> Buckets => _buckets;

    /// <summary>Of the tensor, with what lies between the parameters.</summary>
    public long Elements { get; }

    public int ElementBytes { get; }

    /// <summary>Elements that may lie between two parameters, at most.</summary>
    public int LargestGap => (AlignmentBytes / ElementBytes) - 1;

    /// <summary>A tensor to be laid out, in no dispose scope.</summary>
    public Tensor Zeros()
    {
        var first = Parameters[0].Tensor;
        return zeros(Elements, dtype: first.dtype, device: first.device).DetachFromDisposeScope();
    }

    /// <summary>Each parameter's part of a tensor, in its shape and in the current dispose scope.</summary>
    public IEnumerable<Tensor> Views(Tensor flat) => Parameters.Zip(_offsets, (parameter, offset) =>
    {
        using var line = flat.narrow(0, offset, parameter.Tensor.numel());
        return line.view(parameter.Tensor.shape);
    });

    /// <summary>
    /// Moves the parameters' values into one tensor, of which each is a part from then on: in no dispose scope, and the caller's.
    /// </summary>
    public Tensor MoveParameters()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var flat = Zeros();
        foreach (var (parameter, view) in Parameters.Zip(Views(flat)))
            parameter.Tensor.set_(view.copy_(parameter.Tensor));
        return flat;
    }
}
