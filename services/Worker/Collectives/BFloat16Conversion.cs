using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Cluster.Worker.Collectives;

/// <summary>
/// Many values at once between float32 and bfloat16, its upper half; narrowed to the nearest, to even where two are as near.
/// </summary>
internal static class BFloat16Conversion
{
    private const uint Infinity = 0x7F80_0000;
    private const uint QuietBit = 0x40;

    public static void Widen(ReadOnlySpan<BFloat16> narrow, Span<float> wide)
    {
        var source = MemoryMarshal.Cast<BFloat16, ushort>(narrow);
        var target = MemoryMarshal.Cast<float, uint>(wide)[..narrow.Length];
        var i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out var low, out var high);
            (low << 16).CopyTo(target[i..]);
            (high << 16).CopyTo(target[(i + Vector<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
            target[i] = (uint)source[i] << 16;
    }

    public static void Narrow(ReadOnlySpan<float> wide, Span<BFloat16> narrow)
    {
        var source = MemoryMarshal.Cast<float, uint>(wide);
        var target = MemoryMarshal.Cast<BFloat16, ushort>(narrow)[..wide.Length];
        var i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Narrow(Round(new Vector<uint>(source[i..])), Round(new Vector<uint>(source[(i + Vector<uint>.Count)..])))
                .CopyTo(target[i..]);
        }

        for (; i < wide.Length; i++)
            target[i] = Round(source[i]);
    }

    /// <remarks>Not TorchSharp's conversion, which loses a NaN's sign: the rest of a span has the bits that whole vectors have.</remarks>
    private static ushort Round(uint bits) =>
        (ushort)((bits & 0x7FFF_FFFF) > Infinity ? (bits >> 16) | QuietBit : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Round(Vector<uint> bits)
    {
        var upper = bits >>> 16;
        var rounded = (bits + new Vector<uint>(0x7FFF) + (upper & Vector<uint>.One)) >>> 16;
        var isNaN = Vector.GreaterThan(bits & new Vector<uint>(0x7FFF_FFFF), new Vector<uint>(Infinity));
        return Vector.ConditionalSelect(isNaN, upper | new Vector<uint>(QuietBit), rounded);
    }
}
