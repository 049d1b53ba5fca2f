using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives;

/// <summary>The upper half of a float32: its range, with 8 bits of precision. What libtorch stores as bfloat16.</summary>
public readonly record struct BFloat16(ushort Bits)
{
    private const uint Infinity = 0x7F80_0000;
    private const uint QuietBit = 0x40;

    /// <summary>The nearest, to even where two are as near.</summary>
    public static explicit operator BFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return new BFloat16((ushort)(float.IsNaN(value) ? (bits >> 16) | QuietBit : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
    }

    public static implicit operator float(BFloat16 value) => BitConverter.UInt32BitsToSingle((uint)value.Bits << 16);

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
            Vector.Narrow(Round(new Vector<uint>(source[i..])), Round(new Vector<uint>(source[(i + Vector<uint>.Count)..]))).CopyTo(target[i..]);
        }

        for (; i < wide.Length; i++)
            target[i] = ((BFloat16)wide[i]).Bits;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Round(Vector<uint> bits)
    {
        var upper = bits >>> 16;
        var rounded = (bits + new Vector<uint>(0x7FFF) + (upper & Vector<uint>.One)) >>> 16;
        var isNaN = Vector.GreaterThan(bits & new Vector<uint>(0x7FFF_FFFF), new Vector<uint>(Infinity));
        return Vector.ConditionalSelect(isNaN, upper | new Vector<uint>(QuietBit), rounded);
    }
}
