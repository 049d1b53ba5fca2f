using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Cluster.Worker.Data.Pictures;

/// <summary>Resizes a window of a picture, in floats from bytes to the end: PIL rounds to bytes after each axis. For one thread.</summary>
internal sealed class Resampler
{
    private readonly FilterTaps across = new();
    private readonly FilterTaps down = new();
    private float[] row = [];

    /// <summary>value · scale + offset for every channel of every output pixel.</summary>
    /// <param name="picture">(H, W, C).</param>
    /// <param name="window">What of it, in its own pixels.</param>
    /// <param name="size">Output pixels a side.</param>
    /// <param name="flip">Mirrors left-right.</param>
    /// <param name="scale">C.</param>
    /// <param name="offset">C.</param>
    /// <param name="output">(C, size, size).</param>
    public void Resample(
        Picture picture, in CropWindow window, int size, bool flip, ReadOnlySpan<float> scale, ReadOnlySpan<float> offset,
        Span<float> output)
    {
        var (bounds, channels) = (window.Bounds, picture.Channels);
        across.Lay(size, window.Left, window.StepX, bounds.Left, bounds.Left + bounds.Width);
        down.Lay(size, window.Top, window.StepY, bounds.Top, bounds.Top + bounds.Height);
        var rowValues = bounds.Width * channels;
        if (row.Length < rowValues + 1)
            row = new float[rowValues + 1]; // one more, as a colour is read as four values
        var sums = row.AsSpan(0, rowValues);
        for (var y = 0; y < size; y++)
        {
            sums.Clear();
            var first = down.First(y);
            var weights = down.Weights(y);
            for (var k = 0; k < weights.Length; k++)
                AddScaled(picture.Values.Slice(((first + k) * picture.RowBytes) + (bounds.Left * channels), rowValues), weights[k], sums);
            for (var x = 0; x < size; x++)
            {
                var at = (y * size) + (flip ? size - 1 - x : x);
                var sum = Across(across.Weights(x), (across.First(x) - bounds.Left) * channels, channels);
                for (var c = 0; c < channels; c++)
                    output[(c * size * size) + at] = (sum[c] * scale[c]) + offset[c];
            }
        }
    }

    private Vector128<float> Across(ReadOnlySpan<float> weights, int first, int channels)
    {
        var sum = Vector128<float>.Zero;
        if (channels == 1)
        {
            var grey = 0f;
            for (var k = 0; k < weights.Length; k++)
                grey += weights[k] * row[first + k];
            return sum.WithElement(0, grey);
        }

        for (var k = 0; k < weights.Length; k++)
            sum += Vector128.Create<float>(row.AsSpan(first + (3 * k), 4)) * weights[k];
        return sum;
    }

    private static void AddScaled(ReadOnlySpan<byte> values, float weight, Span<float> sums)
    {
        const int Lanes = 8;
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var words = Vector128.WidenLower(Vector128.CreateScalar(MemoryMarshal.Read<ulong>(values[i..])).AsByte());
            var floats = Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words)).AsInt32());
            var target = sums.Slice(i, Lanes);
            (Vector256.Create<float>(target) + (floats * weight)).CopyTo(target);
        }

        for (; i < values.Length; i++)
            sums[i] += values[i] * weight;
    }
}
