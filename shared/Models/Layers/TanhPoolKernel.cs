using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Cluster.Models.Layers;

/// <summary>b = mean of tanh a over squares of 2×2, and back: ∂/∂a = ¼ g (1 − tanh² a). A pass over memory each.</summary>
/// <remarks>
/// A sample at a time, whose values stay in a core's first cache. Rows lie one after the other in either layout, so a sample is a
/// sequence of pairs of rows whatever its channels; only what lies beside what within a row differs. Vectors may run on into the next
/// row, which is written after them.
/// </remarks>
internal sealed unsafe class TanhPoolKernel
{
    private readonly long _samples;
    private readonly long _inputFloats; // of a sample
    private readonly long _row; // floats of it
    private readonly long _step; // from a pixel to the next

    /// <param name="shape">(N, C, H, W) of the input; H and W even.</param>
    /// <param name="channelsLast">The layout of all tensors.</param>
    public TanhPoolKernel(long[] shape, bool channelsLast)
    {
        IsChannelsLast = channelsLast;
        OutputShape = [shape[0], shape[1], shape[2] / 2, shape[3] / 2];
        _samples = shape[0];
        _inputFloats = shape[1] * shape[2] * shape[3];
        _step = channelsLast ? shape[1] : 1;
        _row = shape[3] * _step;
    }

    public bool IsChannelsLast { get; }

    public long[] OutputShape { get; }

    /// <summary>tanh a and b from a.</summary>
    public void Forward(nint input, nint squashed, nint output) => CpuWork.Split(_samples, least: 1, (begin, end) =>
    {
        var sums = Scratch();
        for (var sample = begin; sample < end; sample++)
        {
            var at = sample * _inputFloats;
            Squash((float*)input + at, (float*)squashed + at);
            Pool((float*)squashed + at, (float*)output + (at / 4), sums);
        }

        NativeMemory.AlignedFree(sums);
    });

    /// <summary>∂/∂a from tanh a and g.</summary>
    public void Backward(nint squashed, nint outputGradient, nint inputGradient) => CpuWork.Split(_samples, least: 1, (begin, end) =>
    {
        var shares = Scratch();
        for (var sample = begin; sample < end; sample++)
        {
            var at = sample * _inputFloats;
            Spread((float*)outputGradient + (at / 4), shares);
            Derive((float*)squashed + at, shares, (float*)inputGradient + at);
        }

        NativeMemory.AlignedFree(shares);
    });

    /// <summary>Of a sample, a row for each pair of rows; a vector may run over its end.</summary>
    private float* Scratch()
    {
        var bytes = (nuint)((_inputFloats / 2) + (2 * PartialVector.Length)) * sizeof(float);
        var memory = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(memory, bytes);
        return memory;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // called too seldom to be compiled well in its turn
    private void Squash(float* input, float* squashed)
    {
        for (var i = 0L; i < _inputFloats; i += PartialVector.Length)
            PartialVector.Store(Tanh(PartialVector.Load(input + i, _inputFloats - i)), squashed + i, _inputFloats - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Pool(float* squashed, float* output, float* sums)
    {
        // Fields are read once: the compiler must take it that any store may change them.
        var (all, length) = (_inputFloats, _row);
        for (var (upper, sum) = (0L, 0L); upper < all; upper += 2 * length, sum += length)
        {
            var lower = upper + length;
            for (var i = 0L; i < length; i += PartialVector.Length)
            {
                var above = PartialVector.Load(squashed + upper + i, all - upper - i);
                (above + PartialVector.Load(squashed + lower + i, all - lower - i)).Store(sums + sum + i);
            }
        }

        if (_step == 1)
            PoolNeighbours(sums, output, all / 4);
        else
            PoolPixels(sums, output, all / 4, _step);
    }

    /// <summary>Neighbours are next to each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PoolNeighbours(float* sums, float* output, long outputs)
    {
        var (evenThenOdd, quarter) = (Vector256.Create(0, 2, 4, 6, 1, 3, 5, 7), Vector128.Create(0.25f));
        var i = 0L;
        for (; i + Vector128<float>.Count <= outputs; i += Vector128<float>.Count)
        {
            var sorted = Vector256.Shuffle(Vector256.Load(sums + (2 * i)), evenThenOdd);
            (quarter * (sorted.GetLower() + sorted.GetUpper())).Store(output + i);
        }

        for (; i < outputs; i++)
            output[i] = 0.25f * (sums[2 * i] + sums[(2 * i) + 1]);
    }

    /// <summary>Neighbours are so many floats apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PoolPixels(float* sums, float* output, long outputs, long channels)
    {
        var quarter = Vector512.Create(0.25f);
        for (var to = 0L; to < outputs; to += channels)
        {
            var left = sums + (2 * to);
            var right = left + channels;
            for (var i = 0L; i < channels; i += PartialVector.Length)
                PartialVector.Store(quarter * (Vector512.Load(left + i) + Vector512.Load(right + i)), output + to + i, outputs - to - i);
        }
    }

    /// <summary>A quarter of each output's gradient to both pixels of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Spread(float* outputGradient, float* shares)
    {
        var (outputs, channels) = (_inputFloats / 4, _step);
        if (channels == 1)
        {
            SpreadToNeighbours(outputGradient, shares, outputs);
            return;
        }

        var quarter = Vector512.Create(0.25f);
        for (var to = 0L; to < 2 * outputs; to += channels)
        {
            var from = to / (2 * channels) * channels;
            for (var i = 0L; i < channels; i += PartialVector.Length)
                (quarter * PartialVector.Load(outputGradient + from + i, outputs - from - i)).Store(shares + to + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SpreadToNeighbours(float* outputGradient, float* shares, long outputs)
    {
        var (twice, quarter) = (Vector256.Create(0, 0, 1, 1, 2, 2, 3, 3), Vector256.Create(0.25f));
        var i = 0L;
        for (; i + Vector128<float>.Count <= outputs; i += Vector128<float>.Count)
            (quarter * Vector256.Shuffle(Vector128.Load(outputGradient + i).ToVector256(), twice)).Store(shares + (2 * i));
        for (; i < outputs; i++)
            shares[2 * i] = shares[(2 * i) + 1] = 0.25f * outputGradient[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Derive(float* squashed, float* shares, float* inputGradient)
    {
        var (all, length, one) = (_inputFloats, _row, Vector512<float>.One);
        for (var at = 0L; at < all; at += length)
        {
            var share = shares + (at / (2 * length) * length);
            for (var i = 0L; i < length; i += PartialVector.Length)
            {
                var left = all - at - i;
                var value = PartialVector.Load(squashed + at + i, left);
                PartialVector.Store(Vector512.Load(share + i) * (one - (value * value)), inputGradient + at + i, left);
            }
        }
    }

    /// <summary>
    /// x·P(x²)/Q(x²), of degree 4 each, fitted for the least greatest relative error up to 9, beyond which tanh is 1 in float32: 2e-8
    /// before rounding, 3e-7 with it. libtorch's is right to the last bit or two, and takes four times as long.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Tanh(Vector512<float> x)
    {
        var size = Vector512.Abs(x);
        var square = size * size;
        var above = Vector512.Create(1.333709409578887e-8f);
        above = Vector512.FusedMultiplyAdd(above, square, Vector512.Create(2.059647158603184e-5f));
        above = Vector512.FusedMultiplyAdd(above, square, Vector512.Create(3.494823817163706e-3f));
        above = Vector512.FusedMultiplyAdd(above, square, Vector512.Create(0.1338038295507431f));
        above = Vector512.FusedMultiplyAdd(above, square, Vector512<float>.One);
        var below = Vector512.Create(7.769389185341424e-7f);
        below = Vector512.FusedMultiplyAdd(below, square, Vector512.Create(3.284383565187454e-4f));
        below = Vector512.FusedMultiplyAdd(below, square, Vector512.Create(2.5874076411128044e-2f));
        below = Vector512.FusedMultiplyAdd(below, square, Vector512.Create(0.4671369791030884f));
        below = Vector512.FusedMultiplyAdd(below, square, Vector512<float>.One);
        var quotient = size * above / below;
        // What is no number is greater than nothing and stays what it is.
        var isOne = Vector512.GreaterThan(size, Vector512.Create(9f)) | Vector512.GreaterThan(quotient, Vector512<float>.One);
        return Vector512.CopySign(Vector512.ConditionalSelect(isOne, Vector512<float>.One, quotient), x);
    }
}
