using System.Runtime.InteropServices;
using System.Text;

namespace Cluster.Worker.Devices;

/// <summary>NVIDIA's management library, where the machine has it: libnvidia-ml.so.1 comes with the driver.</summary>
internal sealed unsafe class Nvml : IDisposable
{
    private const int TextBytes = 96; // NVML_DEVICE_NAME_V2_BUFFER_SIZE, NVML_DEVICE_UUID_V2_BUFFER_SIZE; a version takes 80
    private const int NotSupported = 3; // NVML_ERROR_NOT_SUPPORTED
    private const int NotFound = 6; // NVML_ERROR_NOT_FOUND
    private const int TimedOut = 10; // NVML_ERROR_TIMEOUT
    private const int Lost = 15; // NVML_ERROR_GPU_IS_LOST
    private const int SensorOfGpu = 0; // NVML_TEMPERATURE_GPU
    private const int Corrected = 0, Uncorrected = 1; // nvmlMemoryErrorType_t
    private const int SinceDriverLoad = 0; // NVML_VOLATILE_ECC
    private const ulong XidEvents = 8; // nvmlEventTypeXidCriticalError

    private readonly nint _library;
    private readonly delegate* unmanaged<int> _shutdown;
    private readonly delegate* unmanaged<uint*, int> _count;
    private readonly delegate* unmanaged<uint, nint*, int> _handleByIndex;
    private readonly delegate* unmanaged<byte*, nint*, int> _handleByUuid;
    private readonly delegate* unmanaged<nint, byte*, uint, int> _name;
    private readonly delegate* unmanaged<nint, byte*, uint, int> _uuid;
    private readonly delegate* unmanaged<nint, PciInfo*, int> _pciInfo;
    private readonly delegate* unmanaged<nint, uint*, uint*, int> _migMode;
    private readonly delegate* unmanaged<nint, uint*, int> _mostInstances;
    private readonly delegate* unmanaged<nint, uint, nint*, int> _instance;
    private readonly delegate* unmanaged<nint, uint*, int> _gpuInstanceId;
    private readonly delegate* unmanaged<nint, uint*, int> _computeInstanceId;
    private readonly delegate* unmanaged<nint, ulong*, int> _memory;
    private readonly delegate* unmanaged<nint, uint*, int> _utilization;
    private readonly delegate* unmanaged<nint, int, uint*, int> _temperature;
    private readonly delegate* unmanaged<nint, uint*, int> _power;
    private readonly delegate* unmanaged<nint, int, int, ulong*, int> _eccErrors;
    private readonly delegate* unmanaged<byte*, uint, int> _driverVersion;
    private readonly delegate* unmanaged<nint*, int> _createEvents;
    private readonly delegate* unmanaged<nint, ulong, nint, int> _registerEvents;
    private readonly delegate* unmanaged<nint, EventData*, uint, int> _waitForEvent;
    private readonly delegate* unmanaged<nint, int> _freeEvents;

    private Nvml(nint library)
    {
        _library = library;
        _shutdown = (delegate* unmanaged<int>)Function("nvmlShutdown");
        _count = (delegate* unmanaged<uint*, int>)Function("nvmlDeviceGetCount_v2");
        _handleByIndex = (delegate* unmanaged<uint, nint*, int>)Function("nvmlDeviceGetHandleByIndex_v2");
        _handleByUuid = (delegate* unmanaged<byte*, nint*, int>)Function("nvmlDeviceGetHandleByUUID");
        _name = (delegate* unmanaged<nint, byte*, uint, int>)Function("nvmlDeviceGetName");
        _uuid = (delegate* unmanaged<nint, byte*, uint, int>)Function("nvmlDeviceGetUUID");
        _pciInfo = (delegate* unmanaged<nint, PciInfo*, int>)Function("nvmlDeviceGetPciInfo_v3");
        _migMode = (delegate* unmanaged<nint, uint*, uint*, int>)Function("nvmlDeviceGetMigMode");
        _mostInstances = (delegate* unmanaged<nint, uint*, int>)Function("nvmlDeviceGetMaxMigDeviceCount");
        _instance = (delegate* unmanaged<nint, uint, nint*, int>)Function("nvmlDeviceGetMigDeviceHandleByIndex");
        _gpuInstanceId = (delegate* unmanaged<nint, uint*, int>)Function("nvmlDeviceGetGpuInstanceId");
        _computeInstanceId = (delegate* unmanaged<nint, uint*, int>)Function("nvmlDeviceGetComputeInstanceId");
        _memory = (delegate* unmanaged<nint, ulong*, int>)Function("nvmlDeviceGetMemoryInfo");
        _utilization = (delegate* unmanaged<nint, uint*, int>)Function("nvmlDeviceGetUtilizationRates");
        _temperature = (delegate* unmanaged<nint, int, uint*, int>)Function("nvmlDeviceGetTemperature");
        _power = (delegate* unmanaged<nint, uint*, int>)Function("nvmlDeviceGetPowerUsage");
        _eccErrors = (delegate* unmanaged<nint, int, int, ulong*, int>)Function("nvmlDeviceGetTotalEccErrors");
        _driverVersion = (delegate* unmanaged<byte*, uint, int>)Function("nvmlSystemGetDriverVersion");
        _createEvents = (delegate* unmanaged<nint*, int>)Function("nvmlEventSetCreate");
        _registerEvents = (delegate* unmanaged<nint, ulong, nint, int>)Function("nvmlDeviceRegisterEvents");
        _waitForEvent = (delegate* unmanaged<nint, EventData*, uint, int>)Function("nvmlEventSetWait_v2");
        _freeEvents = (delegate* unmanaged<nint, int>)Function("nvmlEventSetFree");
    }

    /// <summary>Null where there is no NVIDIA driver, or it does not work; <paramref name="reason"/> says which.</summary>
    public static Nvml? TryOpen(out string reason, string libraryName = "libnvidia-ml.so.1")
    {
        if (!NativeLibrary.TryLoad(libraryName, out var library))
        {
            reason = $"{libraryName} is not on this machine";
            return null;
        }

        try
        {
            var nvml = new Nvml(library);
            var code = ((delegate* unmanaged<int>)nvml.Function("nvmlInit_v2"))();
            reason = code == 0 ? "" : $"nvmlInit_v2 answered {code}";
            if (code == 0)
                return nvml;
        }
        catch (EntryPointNotFoundException e)
        {
            reason = $"{libraryName} is of a driver that is too old ({e.Message}); install one of 2021 (470) or later";
        }

        NativeLibrary.Free(library);
        return null;
    }

    /// <summary>
    /// All that CUDA could offer, cards in the order of their PCI addresses: of a card in MIG mode its instances, for it cannot be used
    /// as a whole.
    /// </summary>
    /// <exception cref="InvalidOperationException">The driver answers with an error.</exception>
    public IReadOnlyList<Gpu> Gpus()
    {
        uint count;
        Check(_count(&count), "nvmlDeviceGetCount_v2");
        var gpus = new List<Gpu>();
        for (var index = 0; index < count; index++)
        {
            nint handle;
            Check(_handleByIndex((uint)index, &handle), "nvmlDeviceGetHandleByIndex_v2");
            var card = new GpuCard(index, Text(_uuid, handle, "nvmlDeviceGetUUID"), PciAddress(handle));
            if (IsDivided(handle))
                gpus.AddRange(Instances(handle, card));
            else
                gpus.Add(new Gpu(card.Uuid, Text(_name, handle, "nvmlDeviceGetName"), TotalMemory(handle), card));
        }

        return gpus;
    }

    /// <summary>Such as "580.159.04".</summary>
    /// <exception cref="InvalidOperationException">The driver answers with an error.</exception>
    public string DriverVersion()
    {
        var version = stackalloc byte[TextBytes];
        Check(_driverVersion(version, TextBytes), "nvmlSystemGetDriverVersion");
        return Text(version);
    }

    /// <summary>Of a GPU that has fallen off the bus nothing, which its <see cref="NextXid"/> tells.</summary>
    public GpuReading Read(Gpu gpu)
    {
        if (!TryHandle(gpu.Uuid, out var device, out _) || !TryHandle(gpu.Card.Uuid, out var card, out _))
            return new GpuReading();
        var memory = stackalloc ulong[3]; // nvmlMemory_t: total, free, used
        var rates = stackalloc uint[2]; // nvmlUtilization_t: gpu, memory; per cent
        uint celsius, milliwatts;
        return new GpuReading
        {
            UsedMemoryBytes = _memory(device, memory) == 0 ? (long)memory[2] : null,
            Utilization = !gpu.IsInstance && _utilization(card, rates) == 0 ? rates[0] / 100.0 : null,
            TemperatureCelsius = !gpu.IsInstance && _temperature(card, SensorOfGpu, &celsius) == 0 ? celsius : null,
            PowerWatts = !gpu.IsInstance && _power(card, &milliwatts) == 0 ? milliwatts / 1000.0 : null,
            CorrectedEccErrors = EccErrors(card, Corrected),
            UncorrectedEccErrors = EccErrors(card, Uncorrected),
        };
    }

    /// <summary>Has the driver keep the faults of these cards for <see cref="NextXid"/>; null where it can keep those of none.</summary>
    /// <param name="cards">To watch.</param>
    /// <param name="reason">Why not those of all.</param>
    /// <returns>What the caller frees.</returns>
    public FaultEvents? Watch(IReadOnlyList<GpuCard> cards, out string reason)
    {
        nint set = 0;
        var code = _createEvents(&set);
        reason = code == 0 ? "" : $"nvmlEventSetCreate answered {code}";
        if (code != 0)
            return null;
        var watched = new Dictionary<nint, string>();
        foreach (var card in cards)
        {
            code = TryHandle(card.Uuid, out var handle, out var missing) ? _registerEvents(handle, XidEvents, set) : missing;
            if (code == 0)
                watched.Add(handle, card.Uuid);
            else
                reason = $"nvmlDeviceRegisterEvents of {card.Uuid} answered {code}";
        }

        var events = new FaultEvents(set, watched);
        if (watched.Count > 0)
            return events;
        Free(events);
        return null;
    }

    /// <summary>Waits so long for a fault at most.</summary>
    /// <returns>The card's UUID and the fault's number, or null where there was none.</returns>
    /// <exception cref="GpuLostException">A card has fallen off the bus: the others are to be watched anew.</exception>
    /// <exception cref="InvalidOperationException">The driver answers with another error.</exception>
    public (string Card, int Xid)? NextXid(FaultEvents events, TimeSpan longest)
    {
        EventData data;
        var code = _waitForEvent(events.Set, &data, (uint)longest.TotalMilliseconds);
        if (code == TimedOut)
            return null;
        if (code == Lost)
            throw new GpuLostException("nvmlEventSetWait_v2 answered that a GPU is lost");
        Check(code, "nvmlEventSetWait_v2");
        // Not asked of the card: one whose fault is its loss answers nothing any more.
        return (events.Cards.GetValueOrDefault(data.Device, "unknown"), (int)data.Data);
    }

    public void Free(FaultEvents events) => _freeEvents(events.Set);

    public void Dispose()
    {
        _ = _shutdown();
        NativeLibrary.Free(_library);
    }

    private nint Function(string name) => NativeLibrary.GetExport(_library, name);

    /// <summary>Whether MIG is on; a card without it does not know the question.</summary>
    private bool IsDivided(nint card)
    {
        uint now, afterReset;
        var code = _migMode(card, &now, &afterReset);
        if (code == NotSupported)
            return false;
        Check(code, "nvmlDeviceGetMigMode");
        return now == 1;
    }

    private List<Gpu> Instances(nint handle, GpuCard card)
    {
        uint most;
        Check(_mostInstances(handle, &most), "nvmlDeviceGetMaxMigDeviceCount");
        var found = new List<Gpu>();
        for (var place = 0u; place < most; place++)
        {
            nint instance;
            var code = _instance(handle, place, &instance);
            if (code == NotFound)
                continue; // places are taken in any order
            Check(code, "nvmlDeviceGetMigDeviceHandleByIndex");
            uint gpuInstance, computeInstance;
            Check(_gpuInstanceId(instance, &gpuInstance), "nvmlDeviceGetGpuInstanceId");
            Check(_computeInstanceId(instance, &computeInstance), "nvmlDeviceGetComputeInstanceId");
            var (uuid, model) = (Text(_uuid, instance, "nvmlDeviceGetUUID"), Text(_name, instance, "nvmlDeviceGetName"));
            found.Add(new Gpu(uuid, model, TotalMemory(instance), card)
            {
                InstanceName = FormattableString.Invariant($"MIG-{card.Uuid}/{gpuInstance}/{computeInstance}"),
            });
        }

        return found;
    }

    private long TotalMemory(nint device)
    {
        var memory = stackalloc ulong[3]; // nvmlMemory_t: total, free, used
        Check(_memory(device, memory), "nvmlDeviceGetMemoryInfo");
        return (long)memory[0];
    }

    private string PciAddress(nint card)
    {
        PciInfo info;
        Check(_pciInfo(card, &info), "nvmlDeviceGetPciInfo_v3");
        return FormattableString.Invariant($"{info.Domain:x4}:{info.Bus:x2}:{info.Device:x2}.0");
    }

    private long? EccErrors(nint card, int kind)
    {
        ulong errors;
        return _eccErrors(card, kind, SinceDriverLoad, &errors) == 0 ? (long)errors : null;
    }

    private bool TryHandle(string uuid, out nint handle, out int code)
    {
        nint found = 0;
        fixed (byte* text = Encoding.UTF8.GetBytes(uuid + '\0'))
            code = _handleByUuid(text, &found);
        handle = found;
        return code == 0;
    }

    private static string Text(delegate* unmanaged<nint, byte*, uint, int> read, nint device, string call)
    {
        var text = stackalloc byte[TextBytes];
        Check(read(device, text, TextBytes), call);
        return Text(text);
    }

    private static string Text(byte* text) => Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text));

    private static void Check(int code, string call)
    {
        if (code != 0)
            throw new InvalidOperationException($"{call} answered {code}");
    }

    /// <summary>nvmlPciInfo_t.</summary>
    private struct PciInfo
    {
#pragma warning disable CS0169, CS0649 // the library writes it
        public fixed byte LegacyBusId[16];
        public uint Domain;
        public uint Bus;
        public uint Device;
        public uint DeviceId;
        public uint SubSystemId;
        public fixed byte BusId[32];
#pragma warning restore CS0169, CS0649
    }

    /// <summary>nvmlEventData_t.</summary>
    private struct EventData
    {
#pragma warning disable CS0169, CS0649 // the library writes it
        public nint Device;
        public ulong Type;
        public ulong Data;
        public uint GpuInstanceId;
        public uint ComputeInstanceId;
#pragma warning restore CS0169, CS0649
    }
}

/// <param name="Set">The driver's.</param>
/// <param name="Cards">Those watched: their UUIDs by their handles.</param>
internal sealed record FaultEvents(nint Set, IReadOnlyDictionary<nint, string> Cards);

internal sealed class GpuLostException(string message) : InvalidOperationException(message);
