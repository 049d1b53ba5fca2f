using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Google.Protobuf;

namespace Cluster.Worker.Describing;

/// <summary>Shows pictures as a job's network sees them, but for the normalisation.</summary>
internal static class DataSampler
{
    // Larger ones are shrunk, by a whole number.
    private const int LargestSize = 96;

    // Of all pictures together, whoever asks.
    private const int MostBytes = 1 << 20;

    public static ModelAnswer Answer(SampleQuery query)
    {
        try
        {
            return new ModelAnswer { Samples = Take(query) };
        }
        catch (Exception fault) when (fault is DataSetException or JobMisconfiguredException or BrokenPictureException)
        {
            return new ModelAnswer { Fault = fault.Message };
        }
    }

    private static DataSamples Take(SampleQuery query)
    {
        if (query.InputSize <= 0)
            throw new JobMisconfiguredException($"input_size is {query.InputSize}; give the pixels a side that a network takes");
        var spec = query.Data.Clone();
        var channels = DataSetReader.ChannelsOf(spec);
        // What the data set's own is would be measured first, and is not shown.
        spec.Normalization = new Normalization { Mean = Each("0"), Deviation = Each("1") };
        var data = DataSetReader.Read(spec, query.DataRoot);
        var train = DataParts.Cut(data, spec.ValidationSamples, spec.TrainSamples).Train;
        var renderer = SampleRenderers.For(data, new JobSpec { Data = spec, Seed = query.Seed }, query.InputSize);
        var shrink = (query.InputSize + LargestSize - 1) / LargestSize;
        var size = query.InputSize / shrink;
        var count = Math.Min(Math.Min(query.Count, train.Count), MostBytes / (size * size * channels));
        using var buffers = new PictureBuffers();
        var samples = new DataSamples { Size = size, Channels = channels, TrainSamples = train.Count };
        foreach (var sample in EpochOrder.Shuffled(query.Seed, query.Epoch, train.Count).Take(count))
        {
            var levels = new byte[renderer.ViewElements];
            var shift = new double[channels];
            renderer.RenderLevels(train, sample, new Visit(query.Epoch), buffers, levels, shift);
            buffers.EndSample();
            samples.Samples.Add(new DataSample
            {
                ClassName = train.ClassName(train.Label(sample)),
                Pixels = UnsafeByteOperations.UnsafeWrap(Shrunk(levels, shift, query.InputSize, size, shrink)),
            });
        }

        return samples;

        string Each(string value) => string.Join(' ', Enumerable.Repeat(value, channels));
    }

    /// <summary>(C, inputSize, inputSize) → (size, size, C), each pixel the mean of shrink × shrink.</summary>
    private static byte[] Shrunk(byte[] levels, double[] shift, int inputSize, int size, int shrink)
    {
        var channels = shift.Length;
        var pixels = new byte[size * size * channels];
        for (var at = 0; at < pixels.Length; at++)
        {
            var (channel, x, y) = (at % channels, at / channels % size, at / channels / size);
            var sum = 0;
            for (var within = 0; within < shrink * shrink; within++)
            {
                var row = (y * shrink) + (within / shrink);
                sum += levels[(((channel * inputSize) + row) * inputSize) + (x * shrink) + (within % shrink)];
            }

            pixels[at] = (byte)Math.Clamp(Math.Round(((double)sum / (shrink * shrink)) + (255 * shift[channel])), 0, 255);
        }

        return pixels;
    }
}
