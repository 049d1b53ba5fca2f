using System.Runtime.InteropServices;
using System.Text;

namespace Cluster.Worker.Devices;

/// <summary>A GPU as NVML shows it.</summary>
/// <param name="Index">Its number, the same as CUDA's under CUDA_DEVICE_ORDER=PCI_BUS_ID.</param>
internal sealed record Gpu(int Index, string Model, long MemoryBytes);

/// <summary>NVIDIA's management library, where the machine has it: libnvidia-ml.so.1 comes with the driver.</summary>
internal sealed unsafe class Nvml : IDisposable
{
    private const int NameBytes = 96; // NVML_DEVICE_NAME_V2_BUFFER_SIZE
    private const int VersionBytes = 80; // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE

    private readonly nint _library;
    private readonly delegate* unmanaged<int> _shutdown;
    private readonly delegate* unmanaged<uint, nint*, int> _getHandle;
    private readonly delegate* unmanaged<nint, uint*, int> _getUtilization;
    private readonly delegate* unmanaged<nint, ulong*, int> _getMemory;
    private readonly delegate* unmanaged<nint, byte*, uint, int> _getName;
    private readonly delegate* unmanaged<uint*, int> _getCount;
    private readonly delegate* unmanaged<byte*, uint, int> _getDriverVersion;

    private Nvml(nint library)
    {
        _library = library;
        _shutdown = (delegate* unmanaged<int>)NativeLibrary.GetExport(library, "nvmlShutdown");
        _getHandle = (delegate* unmanaged<uint, nint*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetHandleByIndex_v2");
        _getUtilization = (delegate* unmanaged<nint, uint*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetUtilizationRates");
        _getMemory = (delegate* unmanaged<nint, ulong*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetMemoryInfo");
        _getName = (delegate* unmanaged<nint, byte*, uint, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetName");
        _getCount = (delegate* unmanaged<uint*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetCount_v2");
        _getDriverVersion = (delegate* unmanaged<byte*, uint, int>)NativeLibrary.GetExport(library, "nvmlSystemGetDriverVersion");
    }

    /// <summary>Null where there is no NVIDIA driver, or it does not work; <paramref name="reason"/> says which.</summary>
    public static Nvml? TryOpen(out string reason, string libraryName = "libnvidia-ml.so.1")
    {
        reason = "";
        if (!NativeLibrary.TryLoad(libraryName, out var library))
        {
            reason = $"{libraryName} is not on this machine";
            return null;
        }

        var initialize = (delegate* unmanaged<int>)NativeLibrary.GetExport(library, "nvmlInit_v2");
        var code = initialize();
        if (code == 0)
            return new Nvml(library);
        reason = $"nvmlInit_v2 answered {code}";
        NativeLibrary.Free(library);
        return null;
    }

    /// <summary>All GPUs, in the order of their PCI bus ids.</summary>
    /// <exception cref="InvalidOperationException">The driver answers with an error.</exception>
    public IReadOnlyList<Gpu> Gpus()
    {
        uint count;
        Check(_getCount(&count), "nvmlDeviceGetCount_v2");
        var gpus = new List<Gpu>();
        var name = stackalloc byte[NameBytes];
        var memory = stackalloc ulong[3]; // nvmlMemory_t: total, free, used
        for (var index = 0; index < count; index++)
        {
            var handle = Handle(index);
            Check(_getName(handle, name, NameBytes), "nvmlDeviceGetName");
            Check(_getMemory(handle, memory), "nvmlDeviceGetMemoryInfo");
            gpus.Add(new Gpu(index, Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)), (long)memory[0]));
        }

        return gpus;
    }

    /// <summary>Such as "580.159.04".</summary>
    /// <exception cref="InvalidOperationException">The driver answers with an error.</exception>
    public string DriverVersion()
    {
        var version = stackalloc byte[VersionBytes];
        Check(_getDriverVersion(version, VersionBytes), "nvmlSystemGetDriverVersion");
        return Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(version));
    }

    /// <summary>Share of the last sample period in which a kernel ran, 0 to 1; null where the GPU does not say (MIG).</summary>
    public double? Utilization(int index)
    {
        var rates = stackalloc uint[2]; // nvmlUtilization_t: gpu, memory; per cent
        return _getUtilization(Handle(index), rates) == 0 ? rates[0] / 100.0 : null;
    }

    public void Dispose()
    {
        _ = _shutdown();
        NativeLibrary.Free(_library);
    }

    private nint Handle(int index)
    {
        nint handle;
        Check(_getHandle((uint)index, &handle), "nvmlDeviceGetHandleByIndex_v2");
        return handle;
    }

    private static void Check(int code, string call)
    {
        if (code != 0)
            throw new InvalidOperationException($"{call} answered {code}");
    }
}
