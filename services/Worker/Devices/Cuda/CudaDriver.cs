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
    private const uint SleepingWithoutTiming = 3; // CU_EVENT_BLOCKING_SYNC: who waits leaves its core to others; CU_EVENT_DISABLE_TIMING
    private const int MemoryTypeAttribute = 2; // CU_POINTER_ATTRIBUTE_MEMORY_TYPE
    private const uint DeviceMemory = 2; // CU_MEMORYTYPE_DEVICE

    private readonly delegate* unmanaged<int, byte**, int> _errorName;
    private readonly delegate* unmanaged<int*, int, int> _deviceGet;
    private readonly delegate* unmanaged<byte*, int, int> _deviceUuid;
    private readonly delegate* unmanaged<nint*, int, int> _retainContext;
    private readonly delegate* unmanaged<int, int> _releaseContext;
    private readonly delegate* unmanaged<nint, int> _setContext;
    private readonly delegate* unmanaged<void*, int, nint, int> _pointerAttribute;
    private readonly delegate* unmanaged<nint*, uint, int> _createStream;
    private readonly delegate* unmanaged<nint, int> _destroyStream;
    private readonly delegate* unmanaged<nint, nint, uint, int> _streamWait;
    private readonly delegate* unmanaged<nint*, uint, int> _createEvent;
    private readonly delegate* unmanaged<nint, int> _destroyEvent;
    private readonly delegate* unmanaged<nint, nint, int> _recordEvent;
    private readonly delegate* unmanaged<nint, int> _queryEvent;
    private readonly delegate* unmanaged<nint, int> _waitForEvent;
    private readonly delegate* unmanaged<nint, delegate* unmanaged<nint, void>, nint, int> _launchHostFunction;
    private readonly delegate* unmanaged<nint, nint, nuint, int> _toHost;
    private readonly delegate* unmanaged<nint, nint, nuint, int> _toDevice;
    private readonly delegate* unmanaged<nint, nint, nuint, nint, int> _toDeviceOnStream;

    /// <exception cref="NotSupportedException">There is no driver, or it does not work.</exception>
    public CudaDriver(string name)
    {
        var library = new DeviceLibrary(name, "install NVIDIA's driver, or set Collectives__CudaLibrary to the file");
        _errorName = (delegate* unmanaged<int, byte**, int>)library.Function("cuGetErrorName");
        _deviceGet = (delegate* unmanaged<int*, int, int>)library.Function("cuDeviceGet");
        _deviceUuid = (delegate* unmanaged<byte*, int, int>)library.Function("cuDeviceGetUuid");
        _retainContext = (delegate* unmanaged<nint*, int, int>)library.Function("cuDevicePrimaryCtxRetain");
        _releaseContext = (delegate* unmanaged<int, int>)library.Function("cuDevicePrimaryCtxRelease_v2");
        _setContext = (delegate* unmanaged<nint, int>)library.Function("cuCtxSetCurrent");
        _pointerAttribute = (delegate* unmanaged<void*, int, nint, int>)library.Function("cuPointerGetAttribute");
        _createStream = (delegate* unmanaged<nint*, uint, int>)library.Function("cuStreamCreate");
        _destroyStream = (delegate* unmanaged<nint, int>)library.Function("cuStreamDestroy_v2");
        _streamWait = (delegate* unmanaged<nint, nint, uint, int>)library.Function("cuStreamWaitEvent");
        _createEvent = (delegate* unmanaged<nint*, uint, int>)library.Function("cuEventCreate");
        _destroyEvent = (delegate* unmanaged<nint, int>)library.Function("cuEventDestroy_v2");
        _recordEvent = (delegate* unmanaged<nint, nint, int>)library.Function("cuEventRecord");
        _queryEvent = (delegate* unmanaged<nint, int>)library.Function("cuEventQuery");
        _waitForEvent = (delegate* unmanaged<nint, int>)library.Function("cuEventSynchronize");
        _launchHostFunction = (delegate* unmanaged<nint, delegate* unmanaged<nint, void>, nint, int>)library.Function("cuLaunchHostFunc");
        _toHost = (delegate* unmanaged<nint, nint, nuint, int>)library.Function("cuMemcpyDtoH_v2");
        _toDevice = (delegate* unmanaged<nint, nint, nuint, int>)library.Function("cuMemcpyHtoD_v2");
        _toDeviceOnStream = (delegate* unmanaged<nint, nint, nuint, nint, int>)library.Function("cuMemcpyHtoDAsync_v2");
        var code = ((delegate* unmanaged<uint, int>)library.Function("cuInit"))(0);
        if (code != 0)
            throw new NotSupportedException($"{name} answers cuInit with {NameOf(code)}; see what nvidia-smi says of the driver");
    }

    /// <summary>The device's context that the CUDA runtime, and so libtorch, uses too.</summary>
    public nint RetainContext(int ordinal, out int device)
    {
        int handle;
        nint context;
        Check(_deviceGet(&handle, ordinal), "cuDeviceGet");
        Check(_retainContext(&context, handle), "cuDevicePrimaryCtxRetain");
        device = handle;
        return context;
    }

    public void ReleaseContext(int device) => _releaseContext(device);

    /// <summary>For this thread's calls from here on.</summary>
    public void SetContext(nint context) => Check(_setContext(context), "cuCtxSetCurrent");

    public byte[] Uuid(int device)
    {
        var uuid = new byte[UuidBytes];
        fixed (byte* start = uuid)
            Check(_deviceUuid(start, device), "cuDeviceGetUuid");
        return uuid;
    }

    /// <summary>False of the CPU's memory too that CUDA knows nothing of, for which it answers with an error.</summary>
    public bool IsDeviceMemory(nint address)
    {
        uint type = 0;
        return _pointerAttribute(&type, MemoryTypeAttribute, address) == 0 && type == DeviceMemory;
    }

    public nint CreateStream()
    {
        nint stream;
        Check(_createStream(&stream, NonBlockingStream), "cuStreamCreate");
        return stream;
    }

    public void DestroyStream(nint stream) => _destroyStream(stream);

    /// <summary>What is put on the stream from here on waits for what the event was last recorded after.</summary>
    public void Wait(nint stream, nint @event) => Check(_streamWait(stream, @event, 0), "cuStreamWaitEvent");

    public nint CreateEvent()
    {
        nint @event;
        Check(_createEvent(&@event, SleepingWithoutTiming), "cuEventCreate");
        return @event;
    }

    public void DestroyEvent(nint @event) => _destroyEvent(@event);

    public void Record(nint @event, nint stream) => Check(_recordEvent(@event, stream), "cuEventRecord");

    /// <summary>Returns once what the event was last recorded after is done.</summary>
    public void WaitFor(nint @event) => Check(_waitForEvent(@event), "cuEventSynchronize");

    /// <summary>
    /// Has the driver call a function, which calls none of CUDA's, once all is done that the stream was given before: never on a device
    /// that has failed.
    /// </summary>
    public void Call(nint stream, delegate* unmanaged<nint, void> function, nint argument) =>
        Check(_launchHostFunction(stream, function, argument), "cuLaunchHostFunc");

    public bool HasHappened(nint @event)
    {
        var code = _queryEvent(@event);
        if (code == NotReady)
            return false;
        Check(code, "cuEventQuery");
        return true;
    }

    /// <summary>Once all is done that the compute stream was given before.</summary>
    public void CopyToHost(nint device, nint host, long bytes) => Check(_toHost(host, device, (nuint)bytes), "cuMemcpyDtoH");

    /// <inheritdoc cref="CopyToHost"/>
    public void CopyToDevice(nint host, nint device, long bytes) => Check(_toDevice(device, host, (nuint)bytes), "cuMemcpyHtoD");

    /// <summary>
    /// Puts a copy on the stream. Page-locked memory must keep what it holds until the copy has been made; of other memory it is read
    /// before this returns.
    /// </summary>
    public void CopyToDevice(nint host, nint device, long bytes, nint stream) =>
        Check(_toDeviceOnStream(device, host, (nuint)bytes, stream), "cuMemcpyHtoDAsync");

    private void Check(int code, string call)
    {
        if (code != 0)
            throw new DeviceException($"{call} answers {NameOf(code)}");
    }

    private string NameOf(int code)
    {
        byte* name;
        return _errorName(code, &name) == 0 ? Marshal.PtrToStringUTF8((nint)name)! : FormattableString.Invariant($"error {code}");
    }
}

/// <summary>
/// CUDA or NCCL answers with an error; within an exchange it becomes a <see cref="Collectives.CollectiveException"/> that names the
/// operation.
/// </summary>
internal sealed class DeviceException(string message) : Exception(message);
