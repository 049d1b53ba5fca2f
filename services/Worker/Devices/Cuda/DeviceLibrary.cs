using System.Runtime.InteropServices;

namespace Cluster.Worker.Devices.Cuda;

/// <summary>A shared library that comes with a GPU, opened by name, since machines without one lack it.</summary>
internal sealed class DeviceLibrary
{
    private readonly nint handle;
    private readonly string name;
    private readonly string remedy;

    /// <param name="name">A file's path, or a name that the system's loader finds.</param>
    /// <param name="remedy">What to do where it is missing.</param>
    /// <exception cref="NotSupportedException">It is not there, or lacks what is needed of it; the message names it and the
    /// remedy.</exception>
    public DeviceLibrary(string name, string remedy)
    {
        (this.name, this.remedy) = (name, remedy);
        if (!NativeLibrary.TryLoad(name, out handle))
            throw new NotSupportedException($"{name} is not on this machine; {remedy}");
    }

    /// <inheritdoc cref="DeviceLibrary(string, string)" path="/exception"/>
    public nint Function(string symbol) => NativeLibrary.TryGetExport(handle, symbol, out var address)
        ? address
        : throw new NotSupportedException($"{name} has no {symbol}; {remedy}");
}
