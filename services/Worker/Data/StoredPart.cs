using System.Buffers.Binary;
using System.Security.Cryptography;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data;

/// <summary>Pictures of one size, all of them in memory.</summary>
/// <param name="size">Of every picture.</param>
/// <param name="channels">Of every picture.</param>
/// <param name="pixels">N × height × width × channels, 0 to 255.</param>
/// <param name="labels">N classes.</param>
public sealed class StoredPart(PictureSize size, int channels, ReadOnlyMemory<byte> pixels, ReadOnlyMemory<byte> labels) : ImagePart
{
    private readonly int _sampleBytes = size.Height * size.Width * channels;

    public override int Count => labels.Length;

    public override int Label(int sample) => labels.Span[sample];

    public override SampleIdentity Identity(int sample) =>
        new("", BinaryPrimitives.ReadInt64LittleEndian(SHA256.HashData(pixels.Span.Slice(sample * _sampleBytes, _sampleBytes))));

    public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
    {
        buffers.Picture.Reshape(size, channels);
        pixels.Span.Slice(sample * _sampleBytes, _sampleBytes).CopyTo(buffers.Picture.Values);
    }
}
