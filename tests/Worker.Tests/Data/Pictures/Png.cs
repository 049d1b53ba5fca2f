using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>Writes PNG files, right ones and others.</summary>
internal static class Png
{
    /// <summary>A grey picture of one level.</summary>
    public static byte[] Of(PictureSize size, byte level)
    {
        var rows = new byte[size.Height * (size.Width + 1)];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = i % (size.Width + 1) == 0 ? (byte)0 : level;
        return Of(size, depth: 8, colours: 0, rows);
    }

    /// <summary>Any rows under any header.</summary>
    public static byte[] Of(PictureSize size, byte depth, byte colours, byte[] rows)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, size.Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), size.Height);
        (header[8], header[9]) = (depth, colours);
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(rows);
        return [0x89, .. "PNG\r\n"u8, 0x1A, 0x0A, .. Chunk("IHDR", header), .. Chunk("IDAT", compressed.ToArray()), .. Chunk("IEND", [])];
    }

    private static byte[] Chunk(string type, byte[] data)
    {
        var chunk = new byte[12 + data.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        Encoding.ASCII.GetBytes(type).CopyTo(chunk, 4);
        data.CopyTo(chunk, 8);
        Crc.Repair(chunk, 0);
        return chunk;
    }
}
