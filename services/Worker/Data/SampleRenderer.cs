using Cluster.Contracts.Catalog;
using Cluster.Models;

namespace Cluster.Worker.Data;

/// <summary>Turns stored pixels into the floats that a network sees: augmentation, normalisation, padding to the input's size.</summary>
/// <param name="definition">Sizes of the stored images.</param>
/// <param name="normalization">Of the data set.</param>
/// <param name="inputSize">Height and width that the network takes; smaller images are centred on background (pixel 0).</param>
public sealed class SampleRenderer(DataDefinition definition, PixelNormalization normalization, int inputSize)
{
    private readonly float[] normalized = [.. Enumerable.Range(0, 256).Select(pixel => normalization.Apply((byte)pixel))];

    /// <summary>Floats of one sample.</summary>
    public int SampleElements { get; } = definition.Channels * inputSize * inputSize;

    /// <summary>Writes one sample, (C, inputSize, inputSize).</summary>
    /// <param name="pixels">(C, H, W) as stored.</param>
    /// <param name="view">How this epoch sees the sample.</param>
    /// <param name="output">As long as <see cref="SampleElements"/>.</param>
    public void Render(ReadOnlySpan<byte> pixels, SampleView view, Span<float> output)
    {
        output.Fill(normalized[0]);
        var (height, width) = (definition.Height, definition.Width);
        var top = (inputSize - height) / 2;
        var left = (inputSize - width) / 2;
        for (var c = 0; c < definition.Channels; c++)
        {
            for (var y = Math.Max(0, -view.ShiftY); y < Math.Min(height, height - view.ShiftY); y++)
            {
                var source = pixels.Slice(((c * height) + y + view.ShiftY) * width, width);
                var target = output.Slice((((c * inputSize) + top + y) * inputSize) + left, width);
                for (var x = Math.Max(0, -view.ShiftX); x < Math.Min(width, width - view.ShiftX); x++)
                    target[view.Flip ? width - 1 - x : x] = normalized[source[x + view.ShiftX]];
            }
        }
    }
}

/// <summary>Crop offset in pixels (what was at (x + ShiftX, y + ShiftY) comes to (x, y), zeros beyond the edge) and, after it, a mirroring.</summary>
public readonly record struct SampleView(int ShiftX, int ShiftY, bool Flip)
{
    /// <summary>As stored.</summary>
    public static SampleView Plain => default;

    /// <summary>Random crop and flip as a function of (seed, epoch, sample) alone.</summary>
    /// <param name="seed">The job's.</param>
    /// <param name="epoch">From 0.</param>
    /// <param name="sample">Index within the training part.</param>
    /// <param name="cropPadding">Pixels of zero padding on each side before a crop back to the original size (0: no crop).</param>
    /// <param name="flip">Whether to mirror left-right with probability one half.</param>
    public static SampleView Random(ulong seed, int epoch, int sample, int cropPadding, bool flip)
    {
        var key = CounterRandom.Key(seed, CounterRandom.Word("augmentation"), (ulong)epoch, (ulong)sample);
        var positions = (2 * cropPadding) + 1;
        return new SampleView(
            CounterRandom.Below(key, 0, positions) - cropPadding,
            CounterRandom.Below(key, 1, positions) - cropPadding,
            flip && CounterRandom.Below(key, 2, 2) == 1);
    }
}
