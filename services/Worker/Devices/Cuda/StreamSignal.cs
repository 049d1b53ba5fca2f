using System.Runtime.InteropServices;

namespace Cluster.Worker.Devices.Cuda;

/// <summary>
/// Wakes a thread once a stream has done what it was given: nobody has to ask for it again and again, and the wait has an end where the
/// device never comes so far.
/// </summary>
internal sealed unsafe class StreamSignal
{
    private readonly ManualResetEventSlim _reached = new();

    /// <summary>Puts one on a stream, which does nothing else meanwhile: not on one whose work is waited for.</summary>
    public static StreamSignal Put(CudaDriver driver, nint stream)
    {
        var signal = new StreamSignal();
        var own = GCHandle.Alloc(signal); // until the driver calls, if it ever does
        try
        {
            driver.Call(stream, &Reach, GCHandle.ToIntPtr(own));
        }
        catch
        {
            own.Free();
            throw;
        }

        return signal;
    }

    /// <summary>False if it has not come within <paramref name="longest"/>.</summary>
    public bool Wait(TimeSpan longest) => _reached.Wait(longest);

    [UnmanagedCallersOnly]
    private static void Reach(nint handle)
    {
        var own = GCHandle.FromIntPtr(handle);
        ((StreamSignal)own.Target!)._reached.Set();
        own.Free();
    }
}
