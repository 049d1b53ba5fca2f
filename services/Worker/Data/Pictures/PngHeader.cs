using System.Buffers.Binary;

namespace Cluster.Worker.Data.Pictures;

/// <summary>A PNG file's IHDR chunk: W3C PNG specification, third edition, §11.2.1.</summary>
/// <param name="Depth">Bits of a sample (or of a palette's index).</param>
/// <param name="Colours">What a pixel is made of.</param>
/// <param name="Interlaced">Stored in seven passes, coarse to fine.</param>
internal readonly record struct PngHeader(PictureSize Size, int Depth, PngColours Colours, bool Interlaced)
{
    public const int Bytes = 13;

    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    public int PixelBits => Depth * Colours switch
    {
        PngColours.GreyAlpha => 2,
        PngColours.Rgb => 3,
        PngColours.Rgba => 4,
        _ => 1,
    };

    /// <summary>From a byte to the one that it is filtered against.</summary>
    public int FilterBytes => Math.Max(1, PixelBits / 8);

    /// <summary>Bytes of a row of so many pixels, without its filter.</summary>
    public int RowBytes(int width) => checked((int)((((long)width * PixelBits) + 7) / 8));

    public static PngHeader Read(ReadOnlySpan<byte> chunk)
    {
        if (chunk.Length != Bytes)
            throw new BrokenPictureException($"is a damaged PNG file: its header has {chunk.Length} bytes");
        var (width, height) = (BinaryPrimitives.ReadUInt32BigEndian(chunk), BinaryPrimitives.ReadUInt32BigEndian(chunk[4..]));
        var (depth, colours) = (chunk[8], (PngColours)chunk[9]);
        var allowed = colours switch
        {
            PngColours.Grey => depth is 1 or 2 or 4 or 8 or 16,
            PngColours.Palette => depth is 1 or 2 or 4 or 8,
            PngColours.Rgb or PngColours.GreyAlpha or PngColours.Rgba => depth is 8 or 16,
            _ => false,
        };
        if (!allowed || chunk[10] != 0 || chunk[11] != 0 || chunk[12] > 1)
        {
            throw new BrokenPictureException(
                $"is a damaged PNG file: colour type {chunk[9]} with {depth} bits, methods {chunk[10]}, {chunk[11]} and {chunk[12]}");
        }

        var size = new PictureSize((int)Math.Min(height, int.MaxValue), (int)Math.Min(width, int.MaxValue));
        return new PngHeader(size, depth, colours, Interlaced: chunk[12] == 1);
    }
}

/// <summary>The specification's colour types.</summary>
internal enum PngColours : byte
{
    Grey = 0,
    Rgb = 2,
    Palette = 3,
    GreyAlpha = 4,
    Rgba = 6,
}
