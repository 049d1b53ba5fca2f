using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>A second mapping of the rank's part, as libtorch makes one of its own.</summary>
internal sealed unsafe class MappedBuffer : IDisposable
{
    private readonly MappedFile _file;
    private readonly SharedBuffer _buffer;

    public MappedBuffer(ICollectiveGroup group, long bytes)
    {
        _buffer = group.ReserveSharedBufferAsync("gradients", bytes, TestContext.Current.CancellationToken).GetAwaiter().GetResult()!;
        _file = new MappedFile(_buffer.Path, _buffer.Offset + _buffer.Bytes);
        _buffer.Address = Address;
    }

    public nint Address => (nint)(_file.Start + _buffer.Offset);

    public Span<T> Span<T>()
        where T : unmanaged => new((void*)Address, (int)(_buffer.Bytes / sizeof(T)));

    public void Dispose() => _file.Dispose();
}
