using System.Numerics;
using System.Numerics.Tensors;

namespace Cluster.Worker.Collectives;

/// <summary>
/// The one way in which values of several ranks are added: ((r0 + r1) + r2) + … for each element. Floating-point addition is not
/// associative; a fixed order is what makes results the same on every rank, transport and placement.
/// </summary>
internal static class OrderedSum
{
    /// <summary>Bytes summed before moving on to the next, so that the running sum stays in the first-level cache.</summary>
    private const int BlockBytes = 16 << 10;

    /// <summary>
    /// Writes to <paramref name="sum"/> the sum of <paramref name="count"/> elements at each address. <paramref name="sum"/> may be
    /// one of the addresses, if it is the first.
    /// </summary>
    public static unsafe void Add<T>(ReadOnlySpan<nint> addresses, nint sum, int count)
        where T : unmanaged, INumber<T>
    {
        var blockLength = BlockBytes / sizeof(T);
        for (var start = 0; start < count; start += blockLength)
        {
            var length = Math.Min(blockLength, count - start);
            var target = new Span<T>((T*)sum + start, length);
            var first = new ReadOnlySpan<T>((T*)addresses[0] + start, length);
            if (addresses.Length == 1)
            {
                if (sum != addresses[0])
                    first.CopyTo(target);
                continue;
            }

            TensorPrimitives.Add(first, new ReadOnlySpan<T>((T*)addresses[1] + start, length), target);
            for (var i = 2; i < addresses.Length; i++)
                TensorPrimitives.Add(target, new ReadOnlySpan<T>((T*)addresses[i] + start, length), target);
        }
    }

    /// <summary>Sums in place where the values lie and leaves the sum at every address.</summary>
    public static unsafe void AddEverywhere<T>(ReadOnlySpan<nint> addresses, int count)
        where T : unmanaged, INumber<T>
    {
        var blockLength = BlockBytes / sizeof(T);
        for (var start = 0; start < count; start += blockLength)
        {
            var length = Math.Min(blockLength, count - start);
            var sum = new Span<T>((T*)addresses[0] + start, length);
            for (var i = 1; i < addresses.Length; i++)
                TensorPrimitives.Add(sum, new ReadOnlySpan<T>((T*)addresses[i] + start, length), sum);
            for (var i = 1; i < addresses.Length; i++)
                sum.CopyTo(new Span<T>((T*)addresses[i] + start, length));
        }
    }
}
