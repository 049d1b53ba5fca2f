using System.Security.Cryptography;

namespace Cluster.Worker.Data.Indexing;

/// <summary>What was found at a path, and where the index has it.</summary>
/// <param name="Stamp">Of the folder or shard, before it was read and after.</param>
/// <param name="IsSettled">Whether the stamp is enough to know later that it has not changed since.</param>
/// <param name="ReadAt">When the reading began, by the machine's monotonic clock; <see cref="DataIndexFile.Never"/> if that was before
/// the machine's start.</param>
/// <param name="Offset">Of the record.</param>
/// <param name="Bytes">Of the record.</param>
/// <param name="Checksum">Of the record.</param>
internal readonly record struct IndexEntry(FileStamp Stamp, bool IsSettled, long ReadAt, long Offset, int Bytes, Checksum Checksum)
{
    /// <summary>Whether both tell of the same reading, in whichever file.</summary>
    public bool IsSameReading(IndexEntry other) => (other.Stamp, other.ReadAt) == (Stamp, ReadAt);
}

/// <summary>An index as it was published: records, then a table of them, then where the table is. Checked before it is believed.</summary>
/// <remarks>A file is never changed, only replaced, so that one which is open stays whole. Whatever is wrong with it, it counts as
/// none.</remarks>
internal sealed class DataIndexFile : IDisposable
{
    /// <summary>The last digit is the version: another one's files are not read.</summary>
    public static readonly byte[] Magic = [.. "CLDATIX1"u8];

    public const long Never = long.MinValue;

    // Where the table is and how long, and its checksum.
    public const int FooterBytes = (2 * sizeof(long)) + Checksum.Bytes;

    private readonly Microsoft.Win32.SafeHandles.SafeFileHandle _file;
    private readonly Dictionary<string, IndexEntry> _entries = new(StringComparer.Ordinal);

    private DataIndexFile(Microsoft.Win32.SafeHandles.SafeFileHandle file) => _file = file;

    /// <summary>By path.</summary>
    public IReadOnlyDictionary<string, IndexEntry> Entries => _entries;

    /// <summary>Tells this file's contents from any other's.</summary>
    public Checksum Checksum { get; private set; }

    /// <summary>The limit that a listing did not fit into; 0 where this is one.</summary>
    public long TooLargeFor { get; private set; }

    /// <summary>Null where there is none, or none that can be believed.</summary>
    public static DataIndexFile? Open(string path)
    {
        DataIndexFile? index = null;
        try
        {
            index = new DataIndexFile(File.OpenHandle(path));
            index.ReadTable();
            return index;
        }
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException or ArgumentException)
        {
            index?.Dispose();
            return null;
        }
    }

    /// <summary>A record's bytes; null where they are damaged.</summary>
    public byte[]? Read(IndexEntry entry)
    {
        try
        {
            var record = ReadWhole(entry.Offset, entry.Bytes);
            return Checksum.Of(record) == entry.Checksum ? record : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    public void Dispose() => _file.Dispose();

    private void ReadTable()
    {
        var length = RandomAccess.GetLength(_file);
        Require(length >= Magic.Length + FooterBytes && ReadWhole(0, Magic.Length).AsSpan().SequenceEqual(Magic));
        using var footer = new BinaryReader(new MemoryStream(ReadWhole(length - FooterBytes, FooterBytes)));
        var (offset, bytes) = (footer.ReadInt64(), footer.ReadInt64());
        Checksum = Checksum.Read(footer);
        Require(offset >= Magic.Length && bytes is >= 0 and <= int.MaxValue && offset + bytes == length - FooterBytes);
        // Before any of it is held in memory.
        Require(ChecksumOf(offset, bytes) == Checksum);
        using var table = new BinaryReader(new MemoryStream(ReadWhole(offset, (int)bytes)));
        var isOfThisBoot = new Guid(table.ReadBytes(16)) == Boot.Id;
        TooLargeFor = table.ReadInt64();
        for (var count = table.ReadInt32(); count > 0; count--)
        {
            var path = table.ReadString();
            var (stamp, isSettled, readAt) = (FileStamp.Read(table), table.ReadBoolean(), table.ReadInt64());
            var (at, size, checksum) = (table.ReadInt64(), table.ReadInt32(), Checksum.Read(table));
            var entry = new IndexEntry(stamp, isSettled, isOfThisBoot ? readAt : Never, at, size, checksum);
            Require(entry.Bytes >= 0 && entry.Offset >= Magic.Length && entry.Bytes <= offset - entry.Offset);
            _entries[path] = entry;
        }
    }

    private Checksum ChecksumOf(long offset, long bytes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[64 * 1024];
        while (bytes > 0)
        {
            var got = RandomAccess.Read(_file, buffer.AsSpan(0, (int)Math.Min(bytes, buffer.Length)), offset);
            Require(got > 0);
            hash.AppendData(buffer.AsSpan(0, got));
            (offset, bytes) = (offset + got, bytes - got);
        }

        return new Checksum(hash.GetHashAndReset());
    }

    private byte[] ReadWhole(long offset, int bytes)
    {
        var read = new byte[bytes];
        for (var got = 0; got < bytes;)
        {
            var more = RandomAccess.Read(_file, read.AsSpan(got), offset + got);
            Require(more > 0);
            got += more;
        }

        return read;
    }

    private static void Require(bool isSo)
    {
        if (!isSo)
            throw new InvalidDataException("the index is damaged");
    }
}
