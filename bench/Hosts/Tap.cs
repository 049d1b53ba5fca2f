using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Cluster.Bench.Hosts;

/// <summary>
/// An Ethernet interface whose cable is this process: what its host sends is read here, what is written here its host receives.
/// </summary>
/// <remarks>
/// Linux, Documentation/networking/tuntap.rst. The interface may be moved to another network namespace; it lives until this is disposed.
/// </remarks>
internal sealed partial class Tap : IDisposable
{
    private const nuint SetInterface = 0x400454CA; // TUNSETIFF
    private const short EthernetFrames = 0x0002; // IFF_TAP
    private const short NothingInFront = 0x1000; // IFF_NO_PI
    private const int NameBytes = 16; // IFNAMSIZ, with its zero
    private const int RequestBytes = 40; // struct ifreq

    private readonly FileStream file;

    /// <exception cref="Win32Exception">This process may not, or the name is taken.</exception>
    public Tap(string name)
    {
        file = new FileStream("/dev/net/tun", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        Span<byte> request = stackalloc byte[RequestBytes];
        Encoding.ASCII.GetBytes(name, request[..(NameBytes - 1)]);
        MemoryMarshal.Write(request[NameBytes..], (short)(EthernetFrames | NothingInFront));
        if (Ioctl(file.SafeFileHandle, SetInterface, ref MemoryMarshal.GetReference(request)) != 0)
        {
            file.Dispose();
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Waits for a frame.</summary>
    /// <returns>Its bytes; 0 once the interface is gone.</returns>
    public int Read(Span<byte> frame)
    {
        try
        {
            return file.Read(frame);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>Gives the host a frame; one for an interface that is down or gone is lost, as with any cable.</summary>
    public void Write(ReadOnlySpan<byte> frame)
    {
        try
        {
            file.Write(frame);
        }
        catch (IOException)
        {
            // Lost.
        }
    }

    public void Dispose() => file.Dispose();

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(SafeFileHandle file, nuint request, ref byte argument);
}
