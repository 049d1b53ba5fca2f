using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// Mean and deviation of pictures that nobody has published them of: over all pixels of the first <see cref="Samples"/> training samples.
/// </summary>
/// <remarks>
/// Sums of whole numbers, so that every rank finds the same. Pictures in files are shrunk as far as leaves 64 pixels a side, which takes a
/// little from the deviation. Broken pictures are passed over.
/// </remarks>
internal static class MeasuredNormalization
{
    public const int Samples = 256;
    private const int PixelsASide = 64;

    /// <param name="train">Of which the first samples are measured.</param>
    /// <param name="decoding">Of its pictures.</param>
    /// <param name="notes">Is told how far it is.</param>
    /// <param name="index">By which the ranks of a node measure once.</param>
    public static ChannelNormalization Of(ImagePart train, Decoding decoding, DataNotes notes, DataIndex? index)
    {
        var channels = decoding.Channels;
        var taken = index?.PixelSums(decoding, Take) ?? Take();
        var (pixels, sums, squares) = (taken[0], taken[1..(1 + channels)], taken[(1 + channels)..]);
        if (pixels == 0)
            return ChannelNormalization.Uniform(channels, 0, 1); // nothing can be read: the first batch says so
        var means = sums.Select(sum => (double)sum / pixels).ToArray();
        return new ChannelNormalization(
            [.. means.Select(mean => (float)(mean / 255))],
            // Never less than one level: a picture of a single colour stays finite.
            [.. squares.Select((square, c) => (float)(Math.Sqrt(Math.Max(1, ((double)square / pixels) - (means[c] * means[c]))) / 255))]);

        long[] Take() => Sums(train, channels, notes);
    }

    /// <summary>Pixels; of each channel the levels' sum; of each the sum of their squares.</summary>
    private static long[] Sums(ImagePart train, int channels, DataNotes notes)
    {
        using var buffers = new PictureBuffers();
        var (sums, squares, pixels) = (new long[channels], new long[channels], 0L);
        for (var sample = 0; sample < Math.Min(Samples, train.Count); sample++)
        {
            notes.See(1);
            try
            {
                train.Load(sample, buffers, size => (double)PixelsASide / Math.Min(size.Width, size.Height));
            }
            catch (BrokenPictureException)
            {
                continue; // counted where it is trained on
            }

            var values = buffers.Picture.Values;
            pixels += buffers.Picture.Size.Pixels;
            for (var i = 0; i < values.Length; i++)
            {
                sums[i % channels] += values[i];
                squares[i % channels] += values[i] * values[i];
            }
        }

        return [pixels, .. sums, .. squares];
    }
}
