using System.Buffers.Binary;
using System.IO.Compression;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// The IDX format of the MNIST family: a magic number, the dims as big-endian 32-bit counts, then unsigned bytes; plain or gzipped.
/// </summary>
/// <remarks>
/// http://yann.lecun.com/exdb/mnist, "The IDX file format". A file is believed only once all of it has been read: a header that promises
/// gigabytes reserves nothing.
/// </remarks>
public static class IdxFile
{
    /// <summary>No data set of the family comes near it; a header beyond is damage or malice.</summary>
    private const long MaxElements = 1L << 30;

    private const byte UnsignedByte = 0x08;

    private const long FirstBytes = 1 << 20, Growth = 4;

    /// <summary>Reads the whole file.</summary>
    /// <exception cref="DataSetException">The file is missing, is no IDX file of bytes, ends early or goes on too long. Names file and
    /// offset.</exception>
    public static IdxArray Read(string path, int rank)
    {
        try
        {
            using var file = DataFolder.OpenFile(path);
            using var content = Decompressed(file);
            return Read(content, path, rank);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw DataFolder.Unreadable(path, e);
        }
    }

    private static IdxArray Read(Stream content, string path, int rank)
    {
        var header = new byte[4 + (4 * rank)];
        var got = content.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
        if (got < header.Length)
            throw Damaged(path, got, $"the file ends within its header of {header.Length} bytes");
        if (header is not [0, 0, UnsignedByte, _, ..])
            throw Damaged(
                path, 0, $"the magic number is {Convert.ToHexString(header, 0, 4)}; an IDX file of unsigned bytes begins with 000008");
        if (header[3] != rank)
            throw Damaged(path, 3, $"the file has {header[3]} dims where {rank} are needed");

        var dims = new int[rank];
        var elements = 1L;
        for (var d = 0; d < rank; d++)
        {
            var offset = 4 + (4 * d);
            var size = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(offset));
            elements = size <= MaxElements ? elements * size : long.MaxValue;
            if (elements is <= 0 or > MaxElements)
                throw Damaged(path, offset, $"dim {d} is {size}; the sizes must be positive and their product at most {MaxElements}");
            dims[d] = (int)size;
        }

        return new IdxArray(dims, ReadBody(content, path, header.Length, elements));
    }

    private static byte[] ReadBody(Stream content, string path, long headerBytes, long elements)
    {
        // Grown as the content comes, and to its exact size at the last: a stream's buffer would be half as large again, and copied.
        var body = new byte[Math.Min(elements, FirstBytes)];
        var filled = content.ReadAtLeast(body, body.Length, throwOnEndOfStream: false);
        while (filled == body.Length && filled < elements)
        {
            Array.Resize(ref body, (int)Math.Min(elements, Growth * filled));
            filled += content.ReadAtLeast(body.AsSpan(filled), body.Length - filled, throwOnEndOfStream: false);
        }

        if (filled < elements)
            throw Damaged(path, headerBytes + filled, $"the file ends after {filled} of the {elements} values that its header promises");
        if (content.ReadByte() >= 0)
            throw Damaged(path, headerBytes + elements, $"the file goes on after the {elements} values that its header promises");
        return body;
    }

    /// <summary>Decided by the content: Debian ships .gz, others unpack it and keep the name.</summary>
    private static Stream Decompressed(FileStream file)
    {
        Span<byte> magic = stackalloc byte[2];
        var gzipped = file.ReadAtLeast(magic, 2, throwOnEndOfStream: false) == 2 && magic is [0x1F, 0x8B];
        file.Position = 0;
        return gzipped ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    private static DataSetException Damaged(string path, long offset, string what) => new($"{path}, byte {offset}: {what}");
}

/// <summary>Unsigned bytes in row-major order.</summary>
public sealed record IdxArray(IReadOnlyList<int> Dims, byte[] Values);
