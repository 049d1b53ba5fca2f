using TorchSharp;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Where a streamed reduction keeps float32 values as they travel in half the size, and their widened copies.</summary>
/// <remarks>
/// Outgoing places are used again after twice as many chunks as are under way: that every peer's slice of chunk k is here shows that
/// all have taken this rank's of chunk k − depth, and its results of chunk k − 2 depth.
/// </remarks>
/// <param name="scratch">Of <see cref="ScratchBytes"/>.</param>
/// <param name="ranks">In all.</param>
/// <param name="depth">Chunks under way.</param>
/// <param name="largest">Elements of the largest slice.</param>
internal sealed unsafe class BFloat16Wire(nint scratch, int ranks, int depth, long largest)
{
    public const int ElementBytes = sizeof(ushort);

    private readonly int places = 2 * depth;

    public static long ScratchBytes(int ranks, int depth, long largest) =>
        largest * ((ranks * sizeof(float)) + (((4 * ranks) + 2) * depth * ElementBytes));

    /// <returns>What to send of a slice.</returns>
    public nint PackSlice(int chunk, int peer, nint values, long count) => Pack(values, Place(peer, chunk), count);

    /// <summary>Rounds this rank's result, for itself as for the others.</summary>
    /// <returns>What to send of it.</returns>
    public nint PackResult(int chunk, nint values, long count)
    {
        var packed = Pack(values, Place(2 * ranks, chunk), count);
        Unpack(packed, values, count);
        return packed;
    }

    /// <returns>Where a peer's result is to be received.</returns>
    public nint ResultPlace(int chunk, int peer) => Place(ranks + peer, chunk);

    /// <returns>A peer's slice as float32, until its next one is widened.</returns>
    public nint WidenSlice(int peer, nint packed, long count)
    {
        var wide = scratch + (nint)(peer * largest * sizeof(float));
        Unpack(packed, wide, count);
        return wide;
    }

    public static nint Pack(nint values, nint packed, long count)
    {
        BFloat16Conversion.Narrow(
            new ReadOnlySpan<float>((float*)values, checked((int)count)), new Span<BFloat16>((BFloat16*)packed, (int)count));
        return packed;
    }

    public static void Unpack(nint packed, nint values, long count) =>
        BFloat16Conversion.Widen(
            new ReadOnlySpan<BFloat16>((BFloat16*)packed, checked((int)count)), new Span<float>((float*)values, (int)count));

    private nint Place(int row, int chunk) =>
        scratch + (nint)((ranks * largest * sizeof(float)) + (((row * places) + (chunk % places)) * largest * ElementBytes));
}
