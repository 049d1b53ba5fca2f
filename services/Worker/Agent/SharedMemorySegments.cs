using System.ComponentModel;
using System.Text;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Agent;

/// <summary>The shared memory of one attempt's ranks on this node; freed with it.</summary>
/// <remarks>
/// Anonymous files, reached through /proc/PID/fd of the agent by processes of the same user: nothing to clean up after a crash, and
/// no dependence on the size of /dev/shm.
/// </remarks>
internal sealed class SharedMemorySegments(MachineMemory memory) : IDisposable
{
    // The kernel takes no more than 249 bytes; and the name is quoted where something is wrong.
    private const int LongestName = 200;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (int Descriptor, long Bytes)> _segments = [];
    private bool _disposed;

    /// <summary>Path of the segment; the first call for its name makes it.</summary>
    /// <exception cref="SharedMemoryException">There is less memory, or the size is not positive, or not that of the first
    /// call, or the name is too long.</exception>
    public string Reserve(string name, long bytes)
    {
        if (Encoding.UTF8.GetByteCount(name) > LongestName)
        {
            throw new SharedMemoryException(
                $"the name of shared memory has {Encoding.UTF8.GetByteCount(name)} bytes in UTF-8; give {LongestName} at most");
        }

        if (bytes <= 0)
            throw new SharedMemoryException($"shared memory '{name}' was asked for with {bytes} bytes; ask for at least one");
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_segments.TryGetValue(name, out var segment))
                _segments[name] = segment = (Make(name, bytes), bytes);
            if (segment.Bytes != bytes)
                throw new SharedMemoryException($"shared memory '{name}' has {segment.Bytes} bytes and was now asked for with {bytes}; "
                    + "all ranks must ask for the same");
            return $"/proc/{Environment.ProcessId}/fd/{segment.Descriptor}";
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            foreach (var (descriptor, _) in _segments.Values)
                Libc.Close(descriptor);
            _segments.Clear();
        }
    }

    private int Make(string name, long bytes)
    {
        // Looked at before, since in a control group the kernel does not refuse pages but kills.
        var available = memory.AvailableBytes();
        if (bytes > available)
            throw TooLittle(name, bytes, available, null);
        var descriptor = Create(name);
        try
        {
            Libc.SetMode(descriptor, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            Libc.Truncate(descriptor, bytes);
            Libc.Reserve(descriptor, bytes);
            return descriptor;
        }
        catch (Win32Exception e)
        {
            Libc.Close(descriptor);
            throw TooLittle(name, bytes, memory.AvailableBytes(), e);
        }
    }

    private static int Create(string name)
    {
        try
        {
            return Libc.CreateMemoryFile($"cluster-{name}");
        }
        catch (Win32Exception e)
        {
            // Too many descriptors, by far most likely.
            throw new SharedMemoryException(
                $"shared memory '{name}' cannot be made: {e.Message}; raise the agent's limit of open files (ulimit -n)", e)
            {
                IsForWantOfMemory = true,
            };
        }
    }

    private static SharedMemoryException TooLittle(string name, long bytes, long available, Exception? cause) =>
        new($"shared memory '{name}' needs {bytes} bytes and the node has {available} available; "
            + "lower the model's size or its ranks on this node", cause)
        {
            IsForWantOfMemory = true,
        };
}

/// <summary>A segment cannot be had. The message names the sizes and the remedy.</summary>
internal sealed class SharedMemoryException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>The request was right, and this node has too little memory, or too few descriptors.</summary>
    public bool IsForWantOfMemory { get; init; }
}
