using System.Formats.Tar;

namespace Cluster.Worker.Data.Formats;

/// <summary>The entries of a tar file from its first byte to its last: also of several that were put one behind the other.</summary>
/// <remarks>
/// A tar file ends with two blocks of zeros. <see cref="TarReader"/> stops there, and at the file's end too, so that a file that was cut
/// between two entries looks whole to it.
/// </remarks>
internal static class TarDirectory
{
    private const int BlockBytes = 512;
    private const int EndBlocks = 2;

    // Of a header that goes before an entry's own and holds its name or attributes: far more than any archiver writes.
    private const long MaxExtensionBytes = 1 << 20;

    /// <summary>By their first bytes: what a tar file is often packed with.</summary>
    private static readonly (byte[] Begin, string Name)[] Compressions =
    [
        ([0x1F, 0x8B], "gzip"), ([0x28, 0xB5, 0x2F, 0xFD], "zstd"), ([0xFD, .. "7zXZ"u8], "xz"), ([.. "BZh"u8], "bzip2"),
        ([0x04, 0x22, 0x4D, 0x18], "lz4"),
        ([.. "LZIP"u8], "lzip"), ([0x1F, 0x9D], "compress"), ([0x5D, 0, 0], "lzma"), ([.. "PK"u8, 3, 4], "zip"),
        ([.. "7z"u8, 0xBC, 0xAF], "7-Zip"),
    ];

    /// <summary>Reads all entries' headers; of an entry's data what <paramref name="visit"/> does.</summary>
    /// <returns>False where the file has no end mark: it may have been cut.</returns>
    /// <exception cref="DataSetException">It is compressed, or ends within an entry, or something else stands between entries.</exception>
    public static bool Read(FileStream file, Action<TarEntry> visit)
    {
        if (file.Length == 0)
            throw new DataSetException($"{file.Name} is empty; copy it anew");
        RequirePlain(file);
        file.Position = 0;
        for (var at = 0L; at < file.Length;)
        {
            file.Position = at;
            using (var tar = new TarReader(file, leaveOpen: true))
            {
                while (Next(tar, file, at) is { } entry)
                {
                    at = entry.DataOffset + RoundUp(entry.Length);
                    if (entry.DataOffset + entry.Length > file.Length)
                        throw new DataSetException($"{file.Name} ends after {file.Length} bytes within {FileNames.Shown(entry.Name)}; "
                            + "it was cut short: copy it anew");
                    visit(entry);
                }
            }

            var zeros = 0;
            for (; at < file.Length && IsZeros(file, at); at += BlockBytes)
                zeros++;
            if (at >= file.Length)
                return zeros >= EndBlocks;
            if (zeros == 0)
                throw new DataSetException($"{file.Name}, byte {at}: neither an entry of a tar file nor its end; write the shard anew");
        }

        return false;
    }

    /// <summary>The reader takes extensions into memory as large as they claim to be: so what they claim is looked at before.</summary>
    private static TarEntry? Next(TarReader tar, FileStream file, long at)
    {
        // Places in a header: POSIX.1-2017, pax, "ustar Interchange Format".
        const int kindAt = 156, sizeAt = 124, sizeDigits = 12;
        Span<byte> header = stackalloc byte[BlockBytes];
        while (RandomAccess.Read(file.SafeFileHandle, header, at) == BlockBytes
            && header[kindAt] is (byte)'x' or (byte)'g' or (byte)'L' or (byte)'K')
        {
            var bytes = Size(header.Slice(sizeAt, sizeDigits));
            if (bytes > MaxExtensionBytes)
            {
                throw new DataSetException($"{file.Name}, byte {at}: an entry's name or attributes claim {bytes} bytes, "
                    + $"and {MaxExtensionBytes} are read at most; write the shard anew");
            }

            at += BlockBytes + RoundUp(bytes);
        }

        return tar.GetNextEntry();
    }

    /// <summary>Octal digits, or, as no extension needs it, a binary number of 12 bytes.</summary>
    private static long Size(ReadOnlySpan<byte> field)
    {
        if (field[0] >= 0x80)
            return long.MaxValue;
        var size = 0L;
        foreach (var digit in field)
        {
            if (digit is >= (byte)'0' and <= (byte)'7')
                size = (8 * size) + digit - '0';
        }

        return size;
    }

    private static long RoundUp(long bytes) => (bytes + BlockBytes - 1) / BlockBytes * BlockBytes;

    private static void RequirePlain(FileStream file)
    {
        Span<byte> first = stackalloc byte[8];
        first = first[..file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false)];
        foreach (var (begin, name) in Compressions)
        {
            if (first.StartsWith(begin))
                throw new DataSetException(
                    $"{file.Name} is compressed with {name}; pictures are read from their places in a plain tar file: unpack it to one");
        }
    }

    private static bool IsZeros(FileStream file, long at)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        return block[..RandomAccess.Read(file.SafeFileHandle, block, at)].IndexOfAnyExcept((byte)0) < 0;
    }
}
