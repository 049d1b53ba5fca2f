using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data;

/// <summary>Pictures in files, read and decoded when they are asked for.</summary>
public abstract class EncodedPart(Decoding decoding) : ImagePart
{
    /// <summary>A longer file is no picture to train on.</summary>
    protected const long MaxEncodedBytes = 1L << 28;

    // Files come sorted by class, and a job may take the first so many: see Order.
    private const ulong OrderSeed = 0x464F_4C44;

    public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
    {
        buffers.BeginSample(decoding.Memory);
        try
        {
            buffers.Decoder.Decode(Read(sample, buffers), decoding.Channels, enough, decoding.MaxPixels, buffers.Picture);
        }
        catch (Exception e) when (e is BrokenPictureException or IOException or UnauthorizedAccessException)
        {
            throw new BrokenPictureException($"{Name(sample)} {e.Message}", e);
        }
    }

    /// <summary>What a message calls the sample.</summary>
    protected abstract string Name(int sample);

    /// <summary>The file's bytes, in <see cref="PictureBuffers.Encoded"/>.</summary>
    protected abstract Memory<byte> Read(int sample, PictureBuffers buffers);

    /// <summary>
    /// Mixes samples that are in the order of their names: always in the same way, so that the first so many are a fair choice.
    /// </summary>
    protected static T[] Mixed<T>(IReadOnlyList<T> sorted) =>
        [.. Loading.EpochOrder.Shuffled(OrderSeed, epoch: 0, sorted.Count).Select(i => sorted[i])];

    protected static Memory<byte> ReadFrom(string path, long offset, long? bytes, PictureBuffers buffers)
    {
        using var file = File.OpenHandle(path);
        var length = bytes ?? RandomAccess.GetLength(file);
        if (length > MaxEncodedBytes)
            throw new BrokenPictureException($"has {length} bytes; at most {MaxEncodedBytes} are read");
        var encoded = buffers.Encoded((int)length);
        for (var got = 0; got < encoded.Length;)
        {
            var more = RandomAccess.Read(file, encoded.Span[got..], offset + got);
            if (more == 0)
                throw new BrokenPictureException($"ends after {got} of {length} bytes");
            got += more;
        }

        return encoded;
    }
}
