using Cluster.Contracts.Catalog;
using Cluster.Models;

namespace Cluster.Worker.Data;

/// <summary>Pictures that need no files and can be learned in seconds: a class is a fixed random pattern of coarse blocks, a sample that pattern
/// shifted by up to two pixels, dimmed and covered with noise.</summary>
/// <remarks>The same on every machine: all of it follows from counters.</remarks>
public static class SyntheticImages
{
    private const ulong Seed = 0x5359_4E54;
    private const int BlockPixels = 4;
    private const int MaxShift = 2;
    private const int NoiseLevels = 96;

    public static ImageDataSet Generate(DataDefinition definition)
    {
        var patterns = Enumerable.Range(0, definition.Classes).Select(label => Pattern(definition, label)).ToArray();
        return new ImageDataSet(
            definition,
            new PixelNormalization(0.4425f, 0.277f), // of the generated training part, rounded
            Part(definition, patterns, firstSample: 0, definition.TrainSamples),
            Part(definition, patterns, firstSample: definition.TrainSamples, definition.TestSamples));
    }

    private static bool[] Pattern(DataDefinition definition, int label)
    {
        var key = CounterRandom.Key(Seed, CounterRandom.Word("pattern"), (ulong)label);
        var pattern = new bool[definition.Height * definition.Width];
        for (var y = 0; y < definition.Height; y++)
        {
            for (var x = 0; x < definition.Width; x++)
            {
                var block = (y / BlockPixels * definition.Width) + (x / BlockPixels);
                pattern[(y * definition.Width) + x] = CounterRandom.Below(key, (ulong)block, 2) == 1;
            }
        }

        return pattern;
    }

    private static ImagePart Part(DataDefinition definition, bool[][] patterns, int firstSample, int samples)
    {
        var imagePixels = definition.Channels * definition.Height * definition.Width;
        var pixels = new byte[samples * imagePixels];
        var labels = new byte[samples];
        for (var i = 0; i < samples; i++)
        {
            var key = CounterRandom.Key(Seed, CounterRandom.Word("sample"), (ulong)(firstSample + i));
            labels[i] = (byte)CounterRandom.Below(key, 0, definition.Classes);
            Draw(definition, patterns[labels[i]], key, pixels.AsSpan(i * imagePixels, imagePixels));
        }

        return new ImagePart(pixels, labels);
    }

    private static void Draw(DataDefinition definition, bool[] pattern, ulong key, Span<byte> image)
    {
        var shiftY = CounterRandom.Below(key, 1, (2 * MaxShift) + 1) - MaxShift;
        var shiftX = CounterRandom.Below(key, 2, (2 * MaxShift) + 1) - MaxShift;
        var ink = 96 + CounterRandom.Below(key, 3, 64);
        for (var p = 0; p < image.Length; p++)
        {
            var y = (p / definition.Width % definition.Height) + shiftY;
            var x = (p % definition.Width) + shiftX;
            var inside = y >= 0 && y < definition.Height && x >= 0 && x < definition.Width && pattern[(y * definition.Width) + x];
            image[p] = (byte)((inside ? ink : 0) + CounterRandom.Below(key, 4UL + (ulong)p, NoiseLevels));
        }
    }
}
