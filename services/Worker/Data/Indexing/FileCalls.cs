using System.Runtime.InteropServices;

namespace Cluster.Worker.Data.Indexing;

/// <summary>The file system's own view, which .NET does not give: names as bytes, and what an entry is. Linux, 64 bits.</summary>
internal static unsafe partial class FileCalls
{
    public const int NotPermitted = 1, NotFound = 2, NoAccess = 13, NoFolder = 20, Circular = 40;

    // struct dirent: where the kind and the name stand in it.
    private const int KindAt = 18, NameAt = 19;

    // struct statx, which is the same on every processor: where its fields stand in it.
    private const int StatBytes = 256, MaskAt = 0, ModeAt = 28, InodeAt = 32, SizeAt = 40;
    private const int ChangedAt = 96, ModifiedAt = 112, DeviceAt = 136;
    private const uint WantKindAndSize = 0x0001 | 0x0200, WantStamp = 0x0040 | 0x0080 | 0x0100 | 0x0200;
    private const int CurrentFolder = -100;

    // Asks the server of a network file system, whose client may have an answer that is a minute old.
    private const int ForceSync = 0x2000;

    /// <summary>Every entry but <c>.</c> and <c>..</c>, in the file system's order.</summary>
    /// <param name="error">0, or why the folder cannot be listed.</param>
    public static List<(byte[] Name, FileKind Kind)> List(string folder, out int error)
    {
        var entries = new List<(byte[] Name, FileKind Kind)>();
        var stream = opendir(folder);
        error = stream == 0 ? Marshal.GetLastPInvokeError() : 0;
        if (error != 0)
            return entries;
        try
        {
            for (var entry = readdir(stream); entry != null; entry = readdir(stream))
            {
                var name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(entry + NameAt);
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                    entries.Add((name.ToArray(), OfDirectory(entry[KindAt])));
            }

            error = Marshal.GetLastPInvokeError(); // the end is no error
            return entries;
        }
        finally
        {
            closedir(stream);
        }
    }

    /// <summary>What a path leads to, links followed, and its bytes.</summary>
    /// <param name="error">0, or why nothing can be said of it.</param>
    public static (FileKind Kind, long Bytes) Stat(string path, out int error)
    {
        var stat = stackalloc byte[StatBytes];
        error = statx(CurrentFolder, path, 0, WantKindAndSize, stat) == 0 ? 0 : Marshal.GetLastPInvokeError();
        var found = new ReadOnlySpan<byte>(stat, StatBytes);
        return error != 0 ? default : (OfMode(BitConverter.ToUInt16(found[ModeAt..])), BitConverter.ToInt64(found[SizeAt..]));
    }

    /// <summary>Of what a path leads to, links followed; null where nothing, or too little, can be said of it.</summary>
    public static FileStamp? Stamp(string path)
    {
        var stat = stackalloc byte[StatBytes];
        if (statx(CurrentFolder, path, ForceSync, WantStamp, stat) != 0)
            return null;
        var found = new ReadOnlySpan<byte>(stat, StatBytes);
        return (BitConverter.ToUInt32(found[MaskAt..]) & WantStamp) != WantStamp
            ? null
            : new FileStamp(
                BitConverter.ToInt64(found[DeviceAt..]), BitConverter.ToInt64(found[InodeAt..]), BitConverter.ToInt64(found[SizeAt..]),
                Time(found[ModifiedAt..]), Time(found[ChangedAt..]));

        static FileTime Time(ReadOnlySpan<byte> at) => new(BitConverter.ToInt64(at), BitConverter.ToInt32(at[sizeof(long)..]));
    }

    /// <summary>The path without links, in bytes; null where it leads nowhere.</summary>
    public static byte[]? RealPath(string path)
    {
        var real = realpath(path, 0);
        if (real == null)
            return null;
        try
        {
            return MemoryMarshal.CreateReadOnlySpanFromNullTerminated(real).ToArray();
        }
        finally
        {
            NativeMemory.Free(real);
        }
    }

    /// <summary>"permission denied" and the like, as the C library says it.</summary>
    public static string Words(int error) => Marshal.GetPInvokeErrorMessage(error).ToLowerInvariant();

    private static FileKind OfDirectory(byte kind) => kind == 0 ? FileKind.Unknown : OfMode(kind << 12);

    private static FileKind OfMode(int mode) => (mode >> 12) switch
    {
        1 => FileKind.Fifo,
        2 or 6 => FileKind.Device,
        4 => FileKind.Folder,
        8 => FileKind.File,
        10 => FileKind.Link,
        12 => FileKind.Socket,
        _ => FileKind.Unknown,
    };

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint opendir(string path);

    [LibraryImport("libc", SetLastError = true)]
    private static partial byte* readdir(nint stream);

    [LibraryImport("libc")]
    private static partial int closedir(nint stream);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int folder, string path, int flags, uint mask, byte* stat);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial byte* realpath(string path, nint buffer);
}

/// <summary>What an entry of a folder is.</summary>
internal enum FileKind
{
    /// <summary>The file system does not say in the folder, only of the entry itself.</summary>
    Unknown,
    File,
    Folder,
    Link,
    Fifo,
    Socket,
    Device,
}
