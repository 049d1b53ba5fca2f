using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Data.Pictures;

/// <summary>PNG: W3C PNG specification, third edition. Every colour type and depth, not interlaced; 16 bits are cut to 8, transparency is left out.</summary>
internal static class PngDecoder
{
    /// <summary>Deflate's best is 1032:1, and a pixel may be a single bit.</summary>
    private const long PixelsPerByte = 8 * 1032;

    public static void Decode(Memory<byte> encoded, int channels, Picture into)
    {
        var encodedBytes = encoded.Length;
        var (header, palette, compressed) = PngChunks.Read(encoded);
        PictureDecoder.RequireCredible(header.Size, encodedBytes, PixelsPerByte);
        if (header.Colours == PngColours.Palette && palette.Length is 0 or > 768 || palette.Length % 3 != 0)
            throw new BrokenPictureException($"is a damaged PNG file: its palette has {palette.Length} bytes");
        into.Reshape(header.Size, channels);
        try
        {
            MemoryMarshal.TryGetArray<byte>(compressed, out var bytes);
            using var rows = new ZLibStream(new MemoryStream(bytes.Array!, bytes.Offset, bytes.Count), CompressionMode.Decompress);
            DecodeRows(rows, header, palette.Span, into);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new BrokenPictureException($"is a damaged PNG file: {e.Message}", e);
        }
    }

    private static void DecodeRows(ZLibStream rows, PngHeader header, ReadOnlySpan<byte> palette, Picture into)
    {
        var (above, row) = (new byte[header.RowBytes], new byte[header.RowBytes]);
        for (var y = 0; y < header.Size.Height; y++)
        {
            var filter = rows.ReadByte();
            rows.ReadExactly(row);
            Unfilter(filter, row, above, header.FilterBytes);
            Expand(row, header, palette, into.Values.Slice(y * into.RowBytes, into.RowBytes), into.Channels);
            (above, row) = (row, above);
        }

        if (rows.ReadByte() >= 0) // reaching the end checks the sum
            throw new InvalidDataException("there are more rows than its header says");
    }

    /// <summary>The specification's §9.</summary>
    private static void Unfilter(int filter, Span<byte> row, ReadOnlySpan<byte> above, int back)
    {
        switch (filter)
        {
            case 0:
                return;
            case 1:
                for (var i = back; i < row.Length; i++)
                    row[i] += row[i - back];
                return;
            case 2:
                for (var i = 0; i < row.Length; i++)
                    row[i] += above[i];
                return;
            case 3:
                for (var i = 0; i < row.Length; i++)
                    row[i] += (byte)(((i < back ? 0 : row[i - back]) + above[i]) / 2);
                return;
            case 4:
                for (var i = 0; i < row.Length; i++)
                    row[i] += i < back ? above[i] : Paeth(row[i - back], above[i], above[i - back]);
                return;
            default:
                throw new InvalidDataException($"filter {filter} is unknown");
        }
    }

    private static byte Paeth(int left, int above, int aboveLeft)
    {
        var (toLeft, toAbove, toAboveLeft) = (Math.Abs(above - aboveLeft), Math.Abs(left - aboveLeft), Math.Abs(left + above - (2 * aboveLeft)));
        return (byte)(toLeft <= toAbove && toLeft <= toAboveLeft ? left : toAbove <= toAboveLeft ? above : aboveLeft);
    }

    private static void Expand(ReadOnlySpan<byte> row, PngHeader header, ReadOnlySpan<byte> palette, Span<byte> target, int channels)
    {
        var samples = header.SamplesPerPixel;
        for (var x = 0; x < header.Size.Width; x++)
        {
            var (red, green, blue) = header.Colours switch
            {
                PngColours.Palette => OfPalette(palette, Sample(row, x, header.Depth)),
                PngColours.Rgb or PngColours.Rgba => (Eight(row, x * samples, header), Eight(row, (x * samples) + 1, header), Eight(row, (x * samples) + 2, header)),
                _ => Eight(row, x * samples, header) is var grey ? (grey, grey, grey) : default,
            };
            if (channels == 1)
                target[x] = Grey.Of(red, green, blue);
            else
                (target[3 * x], target[(3 * x) + 1], target[(3 * x) + 2]) = ((byte)red, (byte)green, (byte)blue);
        }
    }

    private static (int Red, int Green, int Blue) OfPalette(ReadOnlySpan<byte> palette, int index) => (3 * index) + 2 < palette.Length
        ? (palette[3 * index], palette[(3 * index) + 1], palette[(3 * index) + 2])
        : throw new InvalidDataException($"a pixel has colour {index} of a palette of {palette.Length / 3}");

    /// <summary>A sample as 8 bits: fewer are spread over the range, of 16 the upper ones count.</summary>
    private static int Eight(ReadOnlySpan<byte> row, int index, PngHeader header) => header.Depth switch
    {
        8 => row[index],
        16 => row[2 * index],
        var depth => Sample(row, index, depth) * 255 / ((1 << depth) - 1),
    };

    /// <summary>A sample of 8 bits or fewer, packed from the highest bit.</summary>
    private static int Sample(ReadOnlySpan<byte> row, int index, int depth)
    {
        var bit = index * depth;
        return (row[bit / 8] >> (8 - depth - (bit % 8))) & ((1 << depth) - 1);
    }
}
