// Legend: a_i input, g_i gradient of the output, s_i = k + α · Σ a_j² over the window about i, b_i = a_i · s_i^−¾ output.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Cluster.Models.Layers;

/// <summary>Local response normalisation with β = ¾ in one pass over memory, forward and backward, on float32 in either layout.</summary>
/// <remarks>
/// Works on blocks that fit in a core's cache. A block's lines lie in scratch memory between zeros, so that a window that reaches past the
/// first or last channel needs no case of its own: with a plane a channel a line is a channel's next pixels and the window goes from line
/// to line; with a pixel's channels together a line is a pixel and the window goes along it.
/// </remarks>
internal sealed unsafe class ResponseNormKernel
{
    private const int TilePixels = 64; // of a channel's plane, 256 bytes: whole cache lines
    private const int BlockPixels = 32; // with channels together: far enough apart that squares have been written when windows read them

    private readonly int size;
    private readonly float alpha;
    private readonly float k;
    private readonly Block shape;
    private readonly long blocks;
    private readonly long lastLines; // of the last block, with channels together
    private readonly long tiles; // of a plane
    private readonly long pixels;
    private readonly long channels; // of a group

    /// <param name="norm">Window, α and k.</param>
    /// <param name="samples">N.</param>
    /// <param name="groups">Of channels; no window reaches from one into another.</param>
    /// <param name="channels">Of a group.</param>
    /// <param name="pixels">H·W.</param>
    /// <param name="channelsLast">The layout of all tensors.</param>
    public ResponseNormKernel(
        (int Size, double Alpha, double K) norm, long samples, int groups, long channels, long pixels, bool channelsLast)
    {
        (size, alpha, k) = (norm.Size, (float)norm.Alpha, (float)norm.K);
        (this.channels, this.pixels) = (channels, pixels);
        var half = size / 2;
        IsChannelsLast = channelsLast;
        if (channelsLast)
        {
            var width = half + Padded(channels) + half;
            shape = new Block(
                LineStride: groups * channels, ScratchStride: width, Origin: half, WindowStep: 1, ScratchFloats: BlockPixels * width);
            var rows = samples * pixels;
            tiles = (rows + BlockPixels - 1) / BlockPixels;
            lastLines = rows - ((tiles - 1) * BlockPixels);
            blocks = tiles * groups;
        }
        else
        {
            shape = new Block(LineStride: pixels, TilePixels, Origin: half * TilePixels, WindowStep: TilePixels,
                ScratchFloats: (channels + (2 * half)) * TilePixels);
            tiles = (pixels + TilePixels - 1) / TilePixels;
            blocks = samples * groups * tiles;
        }
    }

    private bool IsChannelsLast { get; }

    /// <summary>b from a.</summary>
    public void Forward(nint input, nint output) => CpuWork.Split(blocks, least: 16, (begin, end) =>
    {
        var squares = Scratch();
        for (var block = begin; block < end; block++)
        {
            var place = Place(block);
            Forward((float*)input + place.Start, (float*)output + place.Start, squares, place.Lines, place.Length);
        }

        NativeMemory.AlignedFree(squares);
    });

    /// <summary>∂/∂a from a and g.</summary>
    public void Backward(nint input, nint outputGradient, nint inputGradient) => CpuWork.Split(blocks, least: 16, (begin, end) =>
    {
        var squares = Scratch();
        var shares = Scratch();
        for (var block = begin; block < end; block++)
        {
            var place = Place(block);
            Backward((float*)input + place.Start, (float*)outputGradient + place.Start, (float*)inputGradient + place.Start, squares,
                shares, place.Lines, place.Length);
        }

        NativeMemory.AlignedFree(squares);
        NativeMemory.AlignedFree(shares);
    });

    private static long Padded(long floats) => (floats + PartialVector.Length - 1) / PartialVector.Length * PartialVector.Length;

    /// <summary>Zeros; the lines' surroundings stay so.</summary>
    private float* Scratch()
    {
        var bytes = (nuint)(shape.ScratchFloats + PartialVector.Length) * sizeof(float);
        var memory = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(memory, bytes);
        return memory;
    }

    private (long Start, int Lines, int Length) Place(long block)
    {
        if (IsChannelsLast)
        {
            var (group, tile) = (block / tiles, block % tiles);
            return ((tile * BlockPixels * shape.LineStride) + (group * channels), (int)(tile == tiles - 1 ? lastLines : BlockPixels),
                (int)channels);
        }

        var (plane, column) = (block / tiles, block % tiles * TilePixels);
        return ((plane * channels * pixels) + column, (int)channels, (int)Math.Min(TilePixels, pixels - column));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // called too seldom to be compiled well in its turn
    private void Forward(float* input, float* output, float* squares, int lines, int length)
    {
        // Fields are read once: the compiler must take it that any store may change them.
        var (window, step, a, offset) = (size, shape.WindowStep, Vector512.Create(alpha), Vector512.Create(k));
        Square(input, squares, lines, length);
        for (var line = 0; line < lines; line++)
        {
            var (at, scratch) = (line * shape.LineStride, line * shape.ScratchStride);
            for (var i = 0; i < length; i += PartialVector.Length)
            {
                var left = length - i;
                var scale = offset + (a * Sum(squares + scratch + i, window, step));
                PartialVector.Store(PartialVector.Load(input + at + i, left) * Power(scale), output + at + i, left);
            }
        }
    }

    /// <summary>∂/∂a_i = g_i s_i^−¾ − 2αβ a_i Σ g_j a_j s_j^−¾ / s_j, the sum over the same window, which is symmetric.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Backward(float* input, float* outputGradient, float* inputGradient, float* squares, float* shares, int lines, int length)
    {
        var (window, step, origin, a, offset) = (size, shape.WindowStep, shape.Origin, Vector512.Create(alpha), Vector512.Create(k));
        Square(input, squares, lines, length);
        for (var line = 0; line < lines; line++)
        {
            var (at, scratch) = (line * shape.LineStride, line * shape.ScratchStride);
            for (var i = 0; i < length; i += PartialVector.Length)
            {
                var left = length - i;
                var scale = offset + (a * Sum(squares + scratch + i, window, step));
                var direct = PartialVector.Load(outputGradient + at + i, left) * Power(scale);
                PartialVector.Store(direct, inputGradient + at + i, left);
                (direct * PartialVector.Load(input + at + i, left) / scale).Store(shares + scratch + origin + i);
            }
        }

        var factor = Vector512.Create(-2 * 0.75f * alpha);
        for (var line = 0; line < lines; line++)
        {
            var (at, scratch) = (line * shape.LineStride, line * shape.ScratchStride);
            for (var i = 0; i < length; i += PartialVector.Length)
            {
                var left = length - i;
                var indirect = factor * PartialVector.Load(input + at + i, left) * Sum(shares + scratch + i, window, step);
                PartialVector.Store(PartialVector.Load(inputGradient + at + i, left) + indirect, inputGradient + at + i, left);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Square(float* input, float* squares, int lines, int length)
    {
        for (var line = 0; line < lines; line++)
        {
            var from = input + (line * shape.LineStride);
            var to = squares + (line * shape.ScratchStride) + shape.Origin;
            for (var i = 0; i < length; i += PartialVector.Length)
            {
                var value = PartialVector.Load(from + i, length - i);
                (value * value).Store(to + i);
            }
        }
    }

    /// <summary>Over a window.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Sum(float* first, int window, long step)
    {
        if (window == 5) // as in every net here
            return Vector512.Load(first) + Vector512.Load(first + step) + Vector512.Load(first + (2 * step))
                + Vector512.Load(first + (3 * step)) + Vector512.Load(first + (4 * step));
        var sum = Vector512.Load(first);
        for (var i = 1; i < window; i++)
            sum += Vector512.Load(first + (i * step));
        return sum;
    }

    /// <summary>s^−¾.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Power(Vector512<float> scale)
    {
        var root = Vector512.Sqrt(scale);
        return Vector512<float>.One / (root * Vector512.Sqrt(root));
    }

    /// <param name="LineStride">From a line to the next, in the tensors.</param>
    /// <param name="ScratchStride">The same in scratch memory.</param>
    /// <param name="Origin">Where the first line begins there; windows begin half a window before.</param>
    /// <param name="WindowStep">From a window's element to the next, in scratch memory.</param>
    /// <param name="ScratchFloats">In all.</param>
    private sealed record Block(long LineStride, long ScratchStride, long Origin, long WindowStep, long ScratchFloats);
}
