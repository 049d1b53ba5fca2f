using System.Numerics;
using System.Numerics.Tensors;

namespace Cluster.Worker.Collectives.Reductions;

/// <summary>
/// Of the types that .NET reckons with. Sums of <see cref="Half"/> are rounded after every rank, as its own addition rounds.
/// </summary>
internal sealed unsafe class NumberReduction<T>(ReduceOp op, int ranks, int code) : Reduction(sizeof(T), code)
    where T : unmanaged, INumber<T>
{
    private readonly T ranks = T.CreateChecked(ranks);

    public override void Combine(nint left, nint right, nint target, int count)
    {
        var x = Values(left, count);
        var y = Values(right, count);
        var result = new Span<T>((T*)target, count);
        switch (op)
        {
            case ReduceOp.Min:
                TensorPrimitives.Min(x, y, result);
                break;
            case ReduceOp.Max:
                TensorPrimitives.Max(x, y, result);
                break;
            default:
                TensorPrimitives.Add(x, y, result);
                break;
        }
    }

    public override void Finish(nint values, int count)
    {
        if (op == ReduceOp.Mean)
            TensorPrimitives.Divide(Values(values, count), ranks, new Span<T>((T*)values, count));
    }

    private static ReadOnlySpan<T> Values(nint address, int count) => new((T*)address, count);
}
