using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>Writes PNG files, right ones and others.</summary>
internal static class Png
{
    /// <summary>The pass of each pixel, in squares of 8 × 8: drawn as in the specification's §8.</summary>
    private const string Passes =
        "16462646" +
        "77777777" +
        "56565656" +
        "77777777" +
        "36463646" +
        "77777777" +
        "56565656" +
        "77777777";

    /// <summary>A grey picture of one level.</summary>
    public static byte[] Of(PictureSize size, byte level)
    {
        var rows = new byte[size.Height * (size.Width + 1)];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = i % (size.Width + 1) == 0 ? (byte)0 : level;
        return Of(size, depth: 8, colours: 0, rows);
    }

    /// <summary>A grey picture.</summary>
    /// <param name="level">Of row and column.</param>
    public static byte[] Of(PictureSize size, bool interlaced, Func<int, int, byte> level)
    {
        var rows = new List<byte>();
        for (var pass = '1'; pass <= (interlaced ? '7' : '1'); pass++)
        {
            for (var y = 0; y < size.Height; y++)
            {
                var inPass = Enumerable.Range(0, size.Width).Where(x => !interlaced || Passes[(8 * (y % 8)) + (x % 8)] == pass);
                byte[] row = [.. inPass.Select(x => level(y, x))];
                if (row.Length > 0)
                    rows.AddRange([0, .. row]);
            }
        }

        return Of(size, depth: 8, colours: 0, [.. rows], interlaced);
    }

    /// <summary>Any rows under any header.</summary>
    public static byte[] Of(PictureSize size, byte depth, byte colours, byte[] rows, bool interlaced = false, byte[]? palette = null)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, size.Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), size.Height);
        (header[8], header[9], header[12]) = (depth, colours, interlaced ? (byte)1 : (byte)0);
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(rows);
        byte[] colourChunk = palette is null ? [] : Chunk("PLTE", palette);
        var data = Chunk("IDAT", compressed.ToArray());
        return [0x89, .. "PNG\r\n"u8, 0x1A, 0x0A, .. Chunk("IHDR", header), .. colourChunk, .. data, .. Chunk("IEND", [])];
    }

    public static byte[] Chunk(string type, byte[] data)
    {
        var chunk = new byte[12 + data.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        Encoding.ASCII.GetBytes(type).CopyTo(chunk, 4);
        data.CopyTo(chunk, 8);
        Crc.Repair(chunk, 0);
        return chunk;
    }
}
