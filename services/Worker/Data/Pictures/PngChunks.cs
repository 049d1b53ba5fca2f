using System.Buffers.Binary;

namespace Cluster.Worker.Data.Pictures;

/// <summary>A PNG file taken apart.</summary>
/// <param name="Palette">Red, green and blue of each entry; empty without one.</param>
/// <param name="Compressed">The data of all IDAT chunks, moved together.</param>
internal readonly record struct PngChunks(PngHeader Header, ReadOnlyMemory<byte> Palette, Memory<byte> Compressed)
{
    private const int Overhead = 12; // length, type and checksum

    private static readonly uint[] CrcTable = [.. Enumerable.Range(0, 256).Select(CrcOf)];

    /// <remarks>Behind compressed data the file may end before its last chunk, IEND, or within another one: nothing there is needed,
    /// and whether the data is whole shows when it is unpacked.</remarks>
    /// <param name="file">Whose bytes are moved about.</param>
    public static PngChunks Read(Memory<byte> file)
    {
        PngHeader? header = null;
        var palette = ReadOnlyMemory<byte>.Empty;
        var (compressedAt, compressedBytes) = (0, 0);
        for (var at = PngHeader.Signature.Length; ;)
        {
            var left = file.Length - at - Overhead;
            var (type, length) = left < 0 ? default : ReadChunkHeader(file.Span[at..]);
            if (length > left && compressedBytes > 0 && type != "IDAT"u8.AsType())
                break;
            if (length > left)
                throw new BrokenPictureException(left < 0
                    ? $"is a damaged PNG file: it ends within the chunk at byte {at}"
                    : $"is a damaged PNG file: the chunk at byte {at} claims {length} bytes, beyond the file's end");
            var data = file.Slice(at + 8, (int)length);
            var crc = BinaryPrimitives.ReadUInt32BigEndian(file.Span[(at + 8 + data.Length)..]);
            if (type != "IDAT"u8.AsType() && Crc(file.Span.Slice(at + 4, 4 + data.Length)) != crc) // zlib has a checksum of its own
                throw new BrokenPictureException($"is a damaged PNG file: the checksum of the chunk at byte {at} is wrong");
            if (header is null && type != "IHDR"u8.AsType())
                throw new BrokenPictureException("is a damaged PNG file: it does not begin with its header");

            if (type == "IEND"u8.AsType())
                break;
            if (type == "IHDR"u8.AsType())
            {
                header = PngHeader.Read(data.Span);
            }
            else if (type == "PLTE"u8.AsType())
            {
                palette = data;
            }
            else if (type == "IDAT"u8.AsType())
            {
                compressedAt = compressedBytes == 0 ? at + 8 : compressedAt;
                data.Span.CopyTo(file.Span[(compressedAt + compressedBytes)..]);
                compressedBytes += data.Length;
            }

            at += Overhead + data.Length;
        }

        return new PngChunks(header!.Value, palette, file.Slice(compressedAt, compressedBytes));
    }

    private static (uint Type, uint Length) ReadChunkHeader(ReadOnlySpan<byte> chunk) =>
        (BinaryPrimitives.ReadUInt32BigEndian(chunk[4..]), BinaryPrimitives.ReadUInt32BigEndian(chunk));

    /// <summary>The specification's Annex D.</summary>
    private static uint Crc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
            crc = CrcTable[(byte)(crc ^ value)] ^ (crc >> 8);
        return ~crc;
    }

    private static uint CrcOf(int value)
    {
        var crc = (uint)value;
        for (var bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
        return crc;
    }
}

file static class ChunkTypes
{
    public static uint AsType(this ReadOnlySpan<byte> name) => BinaryPrimitives.ReadUInt32BigEndian(name);
}
