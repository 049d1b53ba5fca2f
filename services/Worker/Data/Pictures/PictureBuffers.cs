namespace Cluster.Worker.Data.Pictures;

/// <summary>What one thread needs to make samples ready, kept from one to the next as far as it is small.</summary>
public sealed class PictureBuffers : IDisposable
{
    private readonly PictureReservation _reservation = new();
    private readonly PictureBytes _encoded;

    public PictureBuffers()
    {
        _encoded = new PictureBytes(_reservation);
        Picture = new Picture(_reservation);
        Decoder = new PictureDecoder(_reservation);
    }

    /// <summary>The sample at hand.</summary>
    public Picture Picture { get; }

    public PictureDecoder Decoder { get; }

    internal Resampler Resampler { get; } = new();

    /// <summary>Room for an encoded picture; what was there is lost.</summary>
    public Memory<byte> Encoded(int bytes)
    {
        _encoded.Fit(bytes);
        return _encoded.Memory[..bytes];
    }

    /// <summary>
    /// The sample before is done with. The next one's memory is a part of <paramref name="memory"/>, if there is one, and may have to be
    /// waited for.
    /// </summary>
    public void BeginSample(PictureMemory? memory)
    {
        EndSample();
        _reservation.BeginWith(memory);
    }

    /// <summary>Gives back what the sample took.</summary>
    public void EndSample()
    {
        _encoded.Trim();
        Picture.Trim();
        Decoder.Trim();
        _reservation.End();
    }

    public void Dispose()
    {
        EndSample();
        ((IDisposable)_encoded).Dispose();
        Picture.Dispose();
        Decoder.Dispose();
    }
}
