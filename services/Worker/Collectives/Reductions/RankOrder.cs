namespace Cluster.Worker.Collectives.Reductions;

/// <summary>
/// The one way in which values of several ranks are combined: ((r0 ∘ r1) ∘ r2) ∘ … for each element. Floating-point addition is not
/// associative; a fixed order is what makes results the same on every rank, transport and placement.
/// </summary>
internal static class RankOrder
{
    /// <summary>Bytes combined before moving on to the next, so that the running result stays in the first-level cache.</summary>
    private const int BlockBytes = 16 << 10;

    /// <summary>Reduces <paramref name="count"/> elements at each address, in the order of the addresses.</summary>
    /// <param name="reduction">What to do.</param>
    /// <param name="addresses">One a rank; at least two.</param>
    /// <param name="partial">Where intermediate results go: the first address, or the target if it is none of those after the
    /// second.</param>
    /// <param name="target">Where the result goes; may be any of the addresses.</param>
    /// <param name="count">Elements.</param>
    /// <param name="finish">Whether no more ranks' values will be added.</param>
    public static void Reduce(Reduction reduction, ReadOnlySpan<nint> addresses, nint partial, nint target, long count, bool finish = true)
    {
        var blockLength = BlockBytes / reduction.ElementBytes;
        for (var start = 0L; start < count; start += blockLength)
        {
            var length = (int)Math.Min(blockLength, count - start);
            var offset = (nint)(start * reduction.ElementBytes);
            var sum = addresses[0];
            for (var i = 1; i < addresses.Length; i++)
            {
                var next = i == addresses.Length - 1 ? target : partial;
                reduction.Combine(sum + offset, addresses[i] + offset, next + offset, length);
                sum = next;
            }

            if (finish)
                reduction.Finish(target + offset, length);
        }
    }

    /// <summary>Reduces in place where the values lie and leaves the result at every address.</summary>
    public static unsafe void ReduceEverywhere(Reduction reduction, ReadOnlySpan<nint> addresses, long count)
    {
        var blockLength = BlockBytes / reduction.ElementBytes;
        for (var start = 0L; start < count; start += blockLength)
        {
            var length = (int)Math.Min(blockLength, count - start);
            var offset = (nint)(start * reduction.ElementBytes);
            var sum = addresses[0] + offset;
            for (var i = 1; i < addresses.Length; i++)
                reduction.Combine(sum, addresses[i] + offset, sum, length);
            reduction.Finish(sum, length);
            var bytes = length * reduction.ElementBytes;
            for (var i = 1; i < addresses.Length; i++)
                Buffer.MemoryCopy((void*)sum, (void*)(addresses[i] + offset), bytes, bytes);
        }
    }
}
