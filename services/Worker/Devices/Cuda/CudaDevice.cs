namespace Cluster.Worker.Devices.Cuda;

/// <summary>This rank's GPU. Its context must be the calling thread's before anything else is called: <see cref="Enter"/>.</summary>
internal sealed class CudaDevice : IDisposable
{
    private readonly nint _context;
    private readonly int _device;

    /// <param name="driver">CUDA.</param>
    /// <param name="ordinal">Among those that this process sees.</param>
    /// <exception cref="DeviceException">There is no such device.</exception>
    public CudaDevice(CudaDriver driver, int ordinal)
    {
        Driver = driver;
        _context = driver.RetainContext(ordinal, out _device);
        Enter();
    }

    public CudaDriver Driver { get; }

    /// <summary>The card's own, wherever it is seen from.</summary>
    public byte[] Uuid => Driver.Uuid(_device);

    /// <summary>Makes this thread's CUDA calls go to this device.</summary>
    public void Enter() => Driver.SetContext(_context);

    /// <summary>Whether an address lies on a GPU. Of nothing at all it does not.</summary>
    public bool Holds(nint address)
    {
        if (address == 0)
            return false;
        Enter();
        return Driver.IsDeviceMemory(address);
    }

    public void Dispose() => Driver.ReleaseContext(_device);
}
