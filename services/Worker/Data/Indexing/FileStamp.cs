namespace Cluster.Worker.Data.Indexing;

/// <summary>What tells a file or folder from every other, and from itself once it has changed.</summary>
/// <param name="Device">The file system that it is on: another one may be mounted at its path.</param>
/// <param name="Inode">There.</param>
/// <param name="Bytes">Of a file.</param>
/// <param name="Modified">Of a folder: when an entry came, went or changed its name.</param>
/// <param name="Changed">The same and more, by a clock that no program can set back for a file, as those that unpack archives do with
/// the other.</param>
internal readonly record struct FileStamp(long Device, long Inode, long Bytes, FileTime Modified, FileTime Changed)
{
    /// <summary>
    /// Whether the last change is so long ago that one which comes after <paramref name="now"/> gives another time. Within the
    /// granularity of the file
    /// system's clock two changes have the same; and a time that lies ahead says that one of the clocks is wrong.
    /// </summary>
    public bool IsSettled(DateTimeOffset now, TimeSpan settleTime)
    {
        var latest = (now - settleTime).ToUnixTimeSeconds();
        return Modified.Seconds < latest && Changed.Seconds < latest;
    }

    public void Write(BinaryWriter writer)
    {
        foreach (var value in (long[])[Device, Inode, Bytes, Modified.Seconds, Modified.Nanoseconds, Changed.Seconds, Changed.Nanoseconds])
            writer.Write(value);
    }

    public static FileStamp Read(BinaryReader reader) => new(
        reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64(),
        new FileTime(reader.ReadInt64(), reader.ReadInt64()), new FileTime(reader.ReadInt64(), reader.ReadInt64()));
}

/// <summary>Since 1970, as file systems keep it.</summary>
internal readonly record struct FileTime(long Seconds, long Nanoseconds);
