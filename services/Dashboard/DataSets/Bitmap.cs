using System.Buffers.Binary;
using Cluster.Contracts.V1;

namespace Cluster.Dashboard.DataSets;

/// <summary>A picture as every browser takes it, without compression: BMP, BITMAPINFOHEADER, 24 bits a pixel.</summary>
internal static class Bitmap
{
    private const int HeaderBytes = 54;
    private const int BitsAPixel = 24;

    /// <summary>For the source of an image.</summary>
    public static string Address(DataSample sample, int size, int channels) =>
        $"data:image/bmp;base64,{Convert.ToBase64String(Of(sample.Pixels.Span, size, channels))}";

    /// <param name="pixels">Rows from the top, a byte a channel.</param>
    /// <param name="size">Pixels a side.</param>
    /// <param name="channels">1 (grey) or 3 (red, green, blue).</param>
    public static byte[] Of(ReadOnlySpan<byte> pixels, int size, int channels)
    {
        // Rows begin at multiples of four bytes.
        var rowBytes = ((size * 3) + 3) / 4 * 4;
        var file = new byte[HeaderBytes + (rowBytes * size)];
        "BM"u8.CopyTo(file);
        Write(2, file.Length);
        Write(10, HeaderBytes);
        Write(14, HeaderBytes - 14);
        Write(18, size);
        Write(22, size);
        BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(26), 1); // planes
        BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(28), BitsAPixel);
        for (var y = 0; y < size; y++)
        {
            // From the bottom, blue first.
            var row = file.AsSpan(HeaderBytes + ((size - 1 - y) * rowBytes), rowBytes);
            for (var x = 0; x < size; x++)
            {
                var pixel = pixels.Slice(((y * size) + x) * channels, channels);
                (row[3 * x], row[(3 * x) + 1], row[(3 * x) + 2]) = (pixel[^1], pixel[channels / 2], pixel[0]);
            }
        }

        return file;

        void Write(int at, int value) => BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(at), value);
    }
}
