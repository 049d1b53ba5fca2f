using Cluster.Contracts.Catalog;
using Cluster.Models;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// Pictures that need no files and can be learned in seconds: a class is a fixed random pattern of coarse blocks in each channel, a sample
/// that pattern shifted by up to two pixels, dimmed and covered with noise.
/// </summary>
/// <remarks>The same on every machine: all of it follows from counters.</remarks>
public sealed class SyntheticImages : ImagePart
{
    private const ulong Seed = 0x5359_4E54;
    private const int BlocksASide = 7;
    private const int MaxShift = 2;
    private const int NoiseLevels = 96;

    private readonly DataDefinition definition;
    private readonly bool[][,,] patterns;
    private readonly int firstSample;

    private SyntheticImages(DataDefinition definition, bool[][,,] patterns, int firstSample, int count)
    {
        this.definition = definition;
        this.patterns = patterns;
        this.firstSample = firstSample;
        Count = count;
    }

    public override int Count { get; }

    public static ImageDataSet Generate(DataDefinition definition)
    {
        var patterns = Enumerable.Range(0, definition.Classes).Select(label => Pattern(definition, label)).ToArray();
        return new ImageDataSet(
            definition,
            ChannelNormalization.Uniform(definition.Channels, 0.4425f, 0.277f), // of the training part of ten grey classes, rounded
            new SyntheticImages(definition, patterns, firstSample: 0, definition.TrainSamples),
            new SyntheticImages(definition, patterns, firstSample: definition.TrainSamples, definition.TestSamples));
    }

    public override int Label(int sample) => CounterRandom.Below(KeyOf(sample), 0, definition.Classes);

    public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
    {
        buffers.Picture.Reshape(new PictureSize(definition.Height, definition.Width), definition.Channels);
        Draw(patterns[Label(sample)], KeyOf(sample), buffers.Picture.Values);
    }

    private static int BlockPixels(DataDefinition definition) => Math.Max(1, definition.Width / BlocksASide);

    private static bool[,,] Pattern(DataDefinition definition, int label)
    {
        var blockPixels = BlockPixels(definition);
        var pattern = new bool[definition.Channels, ((definition.Height - 1) / blockPixels) + 1, ((definition.Width - 1) / blockPixels)
            + 1];
        for (var c = 0; c < definition.Channels; c++)
        {
            var key = c == 0
                ? CounterRandom.Key(Seed, CounterRandom.Word("pattern"), (ulong)label)
                : CounterRandom.Key(Seed, CounterRandom.Word("pattern"), (ulong)label, (ulong)c);
            for (var y = 0; y < pattern.GetLength(1); y++)
            {
                for (var x = 0; x < pattern.GetLength(2); x++)
                    pattern[c, y, x] = CounterRandom.Below(key, (ulong)((y * definition.Width) + x), 2) == 1;
            }
        }

        return pattern;
    }

    private ulong KeyOf(int sample)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sample);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sample, Count);
        return CounterRandom.Key(Seed, CounterRandom.Word("sample"), (ulong)(firstSample + sample));
    }

    private void Draw(bool[,,] pattern, ulong key, Span<byte> image)
    {
        var (height, width, channels) = (definition.Height, definition.Width, definition.Channels);
        var blockPixels = BlockPixels(definition);
        var shiftY = CounterRandom.Below(key, 1, (2 * MaxShift) + 1) - MaxShift;
        var shiftX = CounterRandom.Below(key, 2, (2 * MaxShift) + 1) - MaxShift;
        var ink = 96 + CounterRandom.Below(key, 3, 64);
        for (var p = 0; p < image.Length; p++)
        {
            var y = (p / channels / width) + shiftY;
            var x = (p / channels % width) + shiftX;
            var inside = y >= 0 && y < height && x >= 0 && x < width && pattern[p % channels, y / blockPixels, x / blockPixels];
            image[p] = (byte)((inside ? ink : 0) + CounterRandom.Below(key, 4UL + (ulong)p, NoiseLevels));
        }
    }
}
