using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Memory outside the collected heap that grows to the largest size asked for and is kept.</summary>
internal sealed unsafe class ScratchMemory : IDisposable
{
    private const int AlignmentBytes = 64;

    private void* start;
    private nuint bytes;

    /// <summary>At least so many bytes; what an earlier call gave is no longer valid.</summary>
    public nint AtLeast(nuint wantedBytes)
    {
        if (wantedBytes > bytes)
        {
            NativeMemory.AlignedFree(start);
            start = null;
            start = NativeMemory.AlignedAlloc(wantedBytes, AlignmentBytes);
            bytes = wantedBytes;
        }

        return (nint)start;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(start);
        start = null;
        bytes = 0;
    }
}
