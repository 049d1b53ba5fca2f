using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>
/// Random numbers that are a pure function of a key and an index, so that every split of a job draws the same ones and a
/// resumed run continues as if it had never stopped.
/// </summary>
/// <remarks>SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, Fig. 17) read at
/// an arbitrary position: value <c>i</c> of the stream that starts at <c>key</c> is <c>mix(key + (i + 1)·γ)</c>.</remarks>
public static class CounterRandom
{
    private const ulong Gamma = 0x9E3779B97F4A7C15;
    private const ulong Multiplier1 = 0xBF58476D1CE4E5B9;
    private const ulong Multiplier2 = 0x94D049BB133111EB;

    /// <summary>A key for one purpose: the words are mixed in order, so (1, 2) and (2, 1) give unrelated streams.</summary>
    public static ulong Key(params ReadOnlySpan<ulong> words)
    {
        var key = 0x243F6A8885A308D3UL; // the fraction of π: any constant but 0, which is a fixed point of the mixer
        foreach (var word in words)
            key = Mix(key ^ Mix(word + Gamma));
        return key;
    }

    /// <summary>A word for <see cref="Key"/> that stands for a name (FNV-1a over its UTF-16 code units).</summary>
    public static ulong Word(string name)
    {
        var hash = 0xCBF29CE484222325UL;
        foreach (var unit in name)
            hash = (hash ^ unit) * 0x100000001B3UL;
        return hash;
    }

    /// <summary>64 uniform bits.</summary>
    public static ulong Bits(ulong key, ulong index) => Mix(key + ((index + 1) * Gamma));

    /// <summary>Uniform in [0, 1), 53 bits.</summary>
    public static double Uniform(ulong key, ulong index) => (Bits(key, index) >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform integer in [0, <paramref name="bound"/>).</summary>
    public static int Below(ulong key, ulong index, int bound) => (int)Math.BigMul(Bits(key, index), (ulong)bound, out _);

    /// <summary>Standard normal by Box and Muller; value <paramref name="index"/> uses the words 2·index and 2·index + 1.</summary>
    public static double Normal(ulong key, ulong index)
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - Uniform(key, 2 * index))); // 1 − u lies in (0, 1]: the logarithm is finite
        return radius * Math.Cos(2 * Math.PI * Uniform(key, (2 * index) + 1));
    }

    /// <summary>
    /// The same bits as <see cref="Bits(ulong, ulong)"/>'s, of many indexes at once and on any device: int64 of shape (rows, columns), of
    /// which each stands for the ulong of its bits.
    /// </summary>
    /// <param name="key">Of the stream.</param>
    /// <param name="first">Index of the first.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="stride">From an index to that of the next row.</param>
    /// <param name="columns">Indexes of a row, one after the other.</param>
    /// <param name="device">Where they are computed.</param>
    internal static Tensor Bits(ulong key, long first, long rows, long stride, long columns, Device device)
    {
        using var scope = NewDisposeScope();
        using Scalar gamma = unchecked((long)Gamma);
        using Scalar rowGamma = unchecked(stride * (long)Gamma);
        using Scalar start = unchecked((long)(key + ((ulong)(first + 1) * Gamma)));
        var row = arange(rows, dtype: ScalarType.Int64, device: device).mul_(rowGamma).add_(start);
        var z = row.unsqueeze(1) + arange(columns, dtype: ScalarType.Int64, device: device).mul_(gamma);
        using Scalar multiplier1 = unchecked((long)Multiplier1);
        using Scalar multiplier2 = unchecked((long)Multiplier2);
        z = (z ^ ShiftedRight(z, 30)).mul_(multiplier1);
        z = (z ^ ShiftedRight(z, 27)).mul_(multiplier2);
        return (z ^ ShiftedRight(z, 31)).MoveToOuterDisposeScope();
    }

    /// <summary>Which of these bits, as the ulongs that they stand for, are no less.</summary>
    internal static Tensor IsAtLeast(Tensor bits, ulong threshold)
    {
        // With the highest bit turned over, ulongs are in the order of longs.
        using var high = tensor(long.MinValue);
        using Scalar turned = unchecked((long)threshold) ^ long.MinValue;
        using var ordered = bits ^ high;
        return ordered.ge(turned);
    }

    /// <summary>As of ulongs: zeros come from the left, where of longs the sign would.</summary>
    private static Tensor ShiftedRight(Tensor z, int places)
    {
        using var by = tensor((long)places);
        using var kept = tensor(long.MaxValue >> (places - 1));
        using var shifted = z.bitwise_right_shift(by);
        return shifted & kept;
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * Multiplier1;
        z = (z ^ (z >> 27)) * Multiplier2;
        return z ^ (z >> 31);
    }
}
