using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>A second mapping of the rank's part, as libtorch makes one of its own.</summary>
internal sealed unsafe class MappedBuffer : IDisposable
{
    private readonly MappedFile file;
    private readonly SharedBuffer buffer;

    public MappedBuffer(ICollectiveGroup group, long bytes)
    {
        buffer = group.ReserveSharedBufferAsync("gradients", bytes, TestContext.Current.CancellationToken).GetAwaiter().GetResult()!;
        file = new MappedFile(buffer.Path, buffer.Offset + buffer.Bytes);
        buffer.Address = Address;
    }

    public nint Address => (nint)(file.Start + buffer.Offset);

    public Span<T> Span<T>()
        where T : unmanaged => new((void*)Address, (int)(buffer.Bytes / sizeof(T)));

    public void Dispose() => file.Dispose();
}
