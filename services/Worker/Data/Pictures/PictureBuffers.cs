namespace Cluster.Worker.Data.Pictures;

/// <summary>What one thread needs to make samples ready, kept from one to the next.</summary>
public sealed class PictureBuffers : IDisposable
{
    private byte[] encoded = [];

    /// <summary>The sample at hand.</summary>
    public Picture Picture { get; } = new();

    public PictureDecoder Decoder { get; } = new();

    internal Resampler Resampler { get; } = new();

    /// <summary>Room for an encoded picture; what was there is lost.</summary>
    public Memory<byte> Encoded(int bytes)
    {
        if (encoded.Length < bytes)
            encoded = new byte[Math.Max(bytes, 2 * encoded.Length)];
        return encoded.AsMemory(0, bytes);
    }

    public void Dispose() => Decoder.Dispose();
}
