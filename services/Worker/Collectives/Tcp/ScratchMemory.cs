using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Memory outside the collected heap that grows to the largest size asked for and is kept.</summary>
internal sealed unsafe class ScratchMemory : IDisposable
{
    private const int AlignmentBytes = 64;

    private void* _start;
    private nuint _bytes;

    /// <summary>At least so many bytes; what an earlier call gave is no longer valid.</summary>
    public nint AtLeast(nuint wantedBytes)
    {
        if (wantedBytes > _bytes)
        {
            NativeMemory.AlignedFree(_start);
            _start = null;
            _start = NativeMemory.AlignedAlloc(wantedBytes, AlignmentBytes);
            _bytes = wantedBytes;
        }

        return (nint)_start;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_start);
        _start = null;
        _bytes = 0;
    }
}
