using System.Buffers;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Data.Pictures;

/// <summary>
/// Bytes of one thread's that are filled again and again, outside of the collected heap: a large array would stay there long after its
/// picture.
/// </summary>
internal sealed unsafe class PictureBytes(PictureReservation reservation) : MemoryManager<byte>
{
    /// <summary>Kept from picture to picture, and too little to be reserved.</summary>
    public const int KeptBytes = 1 << 18;

    private byte* _start;
    private int _capacity;

    /// <summary>Makes room for so many; what was there is lost.</summary>
    public void Fit(int bytes)
    {
        if (bytes <= _capacity)
            return;
        Free();
        if (bytes > KeptBytes)
            reservation.Add(bytes);
        _start = (byte*)NativeMemory.Alloc((nuint)bytes);
        _capacity = bytes;
    }

    /// <summary>The picture is no longer needed.</summary>
    public void Trim()
    {
        if (_capacity > KeptBytes)
            Free();
    }

    public override Span<byte> GetSpan() => new(_start, _capacity);

    public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

    public override void Unpin()
    {
        // It never moves.
    }

    protected override void Dispose(bool disposing) => Free();

    private void Free()
    {
        NativeMemory.Free(_start);
        _start = null;
        _capacity = 0;
    }
}
