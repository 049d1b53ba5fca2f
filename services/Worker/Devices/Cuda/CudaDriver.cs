using System.Runtime.InteropServices;

namespace Cluster.Worker.Devices.Cuda;

/// <summary>The part of CUDA's driver API (cuda.h) that exchanges and feeding need: TorchSharp shows neither streams nor events.</summary>
internal sealed unsafe class CudaDriver
{
    /// <summary>The stream that libtorch computes on unless told otherwise: the legacy default stream.</summary>
    public const nint ComputeStream = 0;

    public const int UuidBytes = 16;

    private const int NotReady = 600; // CUDA_ERROR_NOT_READY
    private const uint NonBlockingStream = 1; // CU_STREAM_NON_BLOCKING: not held up by the legacy stream
    private const uint WithoutTiming = 2; // CU_EVENT_DISABLE_TIMING
    private const int MemoryTypeAttribute = 2; // CU_POINTER_ATTRIBUTE_MEMORY_TYPE
    private const uint DeviceMemory = 2; // CU_MEMORYTYPE_DEVICE

    private readonly delegate* unmanaged<int, byte**, int> errorName;
    private readonly delegate* unmanaged<int*, int, int> deviceGet;
    private readonly delegate* unmanaged<byte*, int, int> deviceUuid;
    private readonly delegate* unmanaged<nint*, int, int> retainContext;
    private readonly delegate* unmanaged<int, int> releaseContext;
    private readonly delegate* unmanaged<nint, int> setContext;
    private readonly delegate* unmanaged<void*, int, nint, int> pointerAttribute;
    private readonly delegate* unmanaged<nint*, uint, int> createStream;
    private readonly delegate* unmanaged<nint, int> destroyStream;
    private readonly delegate* unmanaged<nint, nint, uint, int> streamWait;
    private readonly delegate* unmanaged<nint*, uint, int> createEvent;
    private readonly delegate* unmanaged<nint, int> destroyEvent;
    private readonly delegate* unmanaged<nint, nint, int> recordEvent;
    private readonly delegate* unmanaged<nint, int> queryEvent;
    private readonly delegate* unmanaged<nint, nint, nuint, int> toHost;
    private readonly delegate* unmanaged<nint, nint, nuint, int> toDevice;
    private readonly delegate* unmanaged<nint, nint, nuint, nint, int> toDeviceOnStream;

    /// <exception cref="NotSupportedException">There is no driver, or it does not work.</exception>
    public CudaDriver(string name)
    {
        var library = new DeviceLibrary(name, "install NVIDIA's driver, or set Collectives__CudaLibrary to the file");
        errorName = (delegate* unmanaged<int, byte**, int>)library.Function("cuGetErrorName");
        deviceGet = (delegate* unmanaged<int*, int, int>)library.Function("cuDeviceGet");
        deviceUuid = (delegate* unmanaged<byte*, int, int>)library.Function("cuDeviceGetUuid");
        retainContext = (delegate* unmanaged<nint*, int, int>)library.Function("cuDevicePrimaryCtxRetain");
        releaseContext = (delegate* unmanaged<int, int>)library.Function("cuDevicePrimaryCtxRelease_v2");
        setContext = (delegate* unmanaged<nint, int>)library.Function("cuCtxSetCurrent");
        pointerAttribute = (delegate* unmanaged<void*, int, nint, int>)library.Function("cuPointerGetAttribute");
        createStream = (delegate* unmanaged<nint*, uint, int>)library.Function("cuStreamCreate");
        destroyStream = (delegate* unmanaged<nint, int>)library.Function("cuStreamDestroy_v2");
        streamWait = (delegate* unmanaged<nint, nint, uint, int>)library.Function("cuStreamWaitEvent");
        createEvent = (delegate* unmanaged<nint*, uint, int>)library.Function("cuEventCreate");
        destroyEvent = (delegate* unmanaged<nint, int>)library.Function("cuEventDestroy_v2");
        recordEvent = (delegate* unmanaged<nint, nint, int>)library.Function("cuEventRecord");
        queryEvent = (delegate* unmanaged<nint, int>)library.Function("cuEventQuery");
        toHost = (delegate* unmanaged<nint, nint, nuint, int>)library.Function("cuMemcpyDtoH_v2");
        toDevice = (delegate* unmanaged<nint, nint, nuint, int>)library.Function("cuMemcpyHtoD_v2");
        toDeviceOnStream = (delegate* unmanaged<nint, nint, nuint, nint, int>)library.Function("cuMemcpyHtoDAsync_v2");
        var code = ((delegate* unmanaged<uint, int>)library.Function("cuInit"))(0);
        if (code != 0)
            throw new NotSupportedException($"{name} answers cuInit with {NameOf(code)}; see what nvidia-smi says of the driver");
    }

    /// <summary>The device's context that the CUDA runtime, and so libtorch, uses too.</summary>
    public nint RetainContext(int ordinal, out int device)
    {
        int handle;
        nint context;
        Check(deviceGet(&handle, ordinal), "cuDeviceGet");
        Check(retainContext(&context, handle), "cuDevicePrimaryCtxRetain");
        device = handle;
        return context;
    }

    public void ReleaseContext(int device) => releaseContext(device);

    /// <summary>For this thread's calls from here on.</summary>
    public void SetContext(nint context) => Check(setContext(context), "cuCtxSetCurrent");

    public byte[] Uuid(int device)
    {
        var uuid = new byte[UuidBytes];
        fixed (byte* start = uuid)
            Check(deviceUuid(start, device), "cuDeviceGetUuid");
        return uuid;
    }

    /// <summary>False of the CPU's memory too that CUDA knows nothing of, for which it answers with an error.</summary>
    public bool IsDeviceMemory(nint address)
    {
        uint type = 0;
        return pointerAttribute(&type, MemoryTypeAttribute, address) == 0 && type == DeviceMemory;
    }

    public nint CreateStream()
    {
        nint stream;
        Check(createStream(&stream, NonBlockingStream), "cuStreamCreate");
        return stream;
    }

    public void DestroyStream(nint stream) => destroyStream(stream);

    /// <summary>What is put on the stream from here on waits for what the event was last recorded after.</summary>
    public void Wait(nint stream, nint @event) => Check(streamWait(stream, @event, 0), "cuStreamWaitEvent");

    public nint CreateEvent()
    {
        nint @event;
        Check(createEvent(&@event, WithoutTiming), "cuEventCreate");
        return @event;
    }

    public void DestroyEvent(nint @event) => destroyEvent(@event);

    public void Record(nint @event, nint stream) => Check(recordEvent(@event, stream), "cuEventRecord");

    public bool HasHappened(nint @event)
    {
        var code = queryEvent(@event);
        if (code == NotReady)
            return false;
        Check(code, "cuEventQuery");
        return true;
    }

    /// <summary>Once all is done that the compute stream was given before.</summary>
    public void CopyToHost(nint device, nint host, long bytes) => Check(toHost(host, device, (nuint)bytes), "cuMemcpyDtoH");

    /// <inheritdoc cref="CopyToHost"/>
    public void CopyToDevice(nint host, nint device, long bytes) => Check(toDevice(device, host, (nuint)bytes), "cuMemcpyHtoD");

    /// <summary>
    /// Puts a copy on the stream. Page-locked memory must keep what it holds until the copy has been made; of other memory it is read
    /// before this returns.
    /// </summary>
    public void CopyToDevice(nint host, nint device, long bytes, nint stream) =>
        Check(toDeviceOnStream(device, host, (nuint)bytes, stream), "cuMemcpyHtoDAsync");

    private void Check(int code, string call)
    {
        if (code != 0)
            throw new DeviceException($"{call} answers {NameOf(code)}");
    }

    private string NameOf(int code)
    {
        byte* name;
        return errorName(code, &name) == 0 ? Marshal.PtrToStringUTF8((nint)name)! : FormattableString.Invariant($"error {code}");
    }
}

/// <summary>
/// CUDA or NCCL answers with an error; within an exchange it becomes a <see cref="Collectives.CollectiveException"/> that names the
/// operation.
/// </summary>
internal sealed class DeviceException(string message) : Exception(message);
