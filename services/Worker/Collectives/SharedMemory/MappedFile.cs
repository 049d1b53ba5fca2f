using System.IO.MemoryMappedFiles;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>A file mapped into this process, shared with the others that map it.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;

    public MappedFile(string path, long bytes)
    {
        // FileShare.ReadWrite: the default would take an advisory lock that keeps the peers out.
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        if (stream.Length < bytes)
            throw new InvalidDataException($"shared memory '{path}' has {stream.Length} bytes; {bytes} were reserved");
        file = MemoryMappedFile.CreateFromFile(
            stream, mapName: null, capacity: 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        view = file.CreateViewAccessor(0, bytes, MemoryMappedFileAccess.ReadWrite);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        Start = start;
        Bytes = bytes;
    }

    public byte* Start { get; }

    public long Bytes { get; }

    public void Dispose()
    {
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        file.Dispose();
    }
}
