using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// Moves data by the system calls themselves: several pieces at once (a header, its values and the next header), which the framework's
/// sockets do only with an allocation a call. Linux, 64 bits.
/// </summary>
internal static unsafe partial class SocketCalls
{
    public const short Readable = 1;
    public const short Writable = 4;

    private const int Interrupted = 4;
    private const int WouldBlock = 11;

    /// <returns>Bytes that went out; 0 when the socket takes none now.</returns>
    /// <exception cref="Win32Exception">The connection is broken.</exception>
    public static long Write(int socket, Piece* pieces, int count) => Check(writev(socket, pieces, count));

    /// <returns>Bytes that came in; 0 when there are none now, -1 when the peer has closed the connection.</returns>
    /// <exception cref="Win32Exception">The connection is broken.</exception>
    public static long Read(int socket, Piece* pieces, int count)
    {
        var received = readv(socket, pieces, count);
        return received == 0 ? -1 : Check(received);
    }

    /// <summary>Sleeps until one of the sockets is ready or the time is over. May return early.</summary>
    public static void Wait(Span<Watch> watches, TimeSpan longest)
    {
        fixed (Watch* first = watches)
            _ = poll(first, (nuint)watches.Length, (int)longest.TotalMilliseconds);
    }

    private static long Check(nint result)
    {
        if (result >= 0)
            return result;
        var error = Marshal.GetLastPInvokeError();
        return error is WouldBlock or Interrupted ? 0 : throw new Win32Exception(error);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint writev(int socket, Piece* pieces, int count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint readv(int socket, Piece* pieces, int count);

    [LibraryImport("libc")]
    private static partial int poll(Watch* watches, nuint count, int milliseconds);

    /// <summary>The kernel's iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Piece(void* start, long bytes)
    {
        public void* Start = start;
        public nint Bytes = (nint)bytes;
    }

    /// <summary>The kernel's pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Watch(int socket, short wanted)
    {
        public int Socket = socket;
        public short Wanted = wanted;
        public short Found;
    }
}
