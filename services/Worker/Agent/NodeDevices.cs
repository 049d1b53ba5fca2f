using System.Diagnostics.Metrics;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;
using Cluster.Worker.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>This node's devices, found once when the agent starts.</summary>
internal sealed partial class NodeDevices : IDisposable
{
    private readonly NodeGpus? _gpus;
    private readonly DeviceMonitor _monitor;
    private readonly IReadOnlyList<int>? _pinnedCores;
    private readonly int _coresPerSlot;
    private readonly Meter _meter = new(WorkerTelemetry.AgentName);
    private volatile IReadOnlyList<DeviceMeasurement> _lastMeasured = [];

    public NodeDevices(
        IOptions<AgentOptions> options, AgentIdentity identity, MachineMemory memory, HostTopology topology, TimeProvider timeProvider,
        ILogger<NodeDevices> logger)
    {
        if (Jemalloc.Path is null)
            LogNoJemalloc(logger);
        var cores = Libc.ThreadCores();
        _coresPerSlot = options.Value.CoresPerSlot;
        if (options.Value.PinnedCores.Length > 0 && CoreList.TryParse(options.Value.PinnedCores, out var pinned))
            _pinnedCores = pinned;
        var gpuCores = cores.Except(_pinnedCores ?? []) is var free && free.Any() ? free : cores;
        _gpus = OpenGpus(identity, [.. gpuCores], topology, timeProvider, logger);
        All = DeviceDiscovery.Find(options.Value, _gpus?.Offered ?? [], cores.Count, memory);
        if (All.Count == 0)
            throw new InvalidOperationException(
                "this node has no GPU and Agent:CpuSlots is 0, so nothing can run here; raise Agent:CpuSlots");
        _monitor = new DeviceMonitor(All, _gpus, timeProvider);
        _meter.CreateObservableGauge("agent.slot.utilization", SlotUtilization, "1", "A trainer's processor time over its slot's cores.");
    }

    public IReadOnlyList<Device> All { get; }

    public Device? Find(string id) => All.FirstOrDefault(device => device.Id == id);

    /// <summary>What CUDA calls a device; empty for a CPU slot.</summary>
    public string GpuOf(Device device) => _gpus?.UuidOf(device.Id) ?? "";

    /// <summary>Threads that a device's trainer computes with on the CPU: one for each of its cores.</summary>
    public int ThreadsOf(Device device) => device.Kind == DeviceKind.Cpu ? device.Cores : _gpus!.CoresOf(device.Id).Count;

    /// <summary>Cores to bind a device's trainer to, or null for none.</summary>
    public IReadOnlyList<int>? CoresOf(Device device)
    {
        if (device.Kind != DeviceKind.Cpu)
            return _gpus!.CoresOf(device.Id);
        if (_pinnedCores is null)
            return null;
        var slot = int.Parse(device.Id.AsSpan("cpu:".Length), System.Globalization.CultureInfo.InvariantCulture);
        return [.. _pinnedCores.Skip(slot * _coresPerSlot).Take(_coresPerSlot)];
    }

    /// <summary>How busy the devices were since the last call, and what GPUs say of themselves.</summary>
    public IReadOnlyList<DeviceMeasurement> Measure(Func<string, int?> processOf) =>
        _lastMeasured = _monitor.Measure(processOf);

    public void Dispose()
    {
        _meter.Dispose();
        _gpus?.Dispose();
    }

    private static NodeGpus? OpenGpus(
        AgentIdentity identity, IReadOnlyList<int> cores, HostTopology topology, TimeProvider timeProvider, ILogger logger)
    {
        if (Nvml.TryOpen(out var reason) is not { } nvml)
        {
            LogNoGpu(logger, reason);
            return null;
        }

        try
        {
            var (all, setting) = (nvml.Gpus(), Environment.GetEnvironmentVariable(VisibleGpus.Setting));
            var visible = VisibleGpus.Of(all, setting);
            if (visible.Count < all.Count)
                LogHidden(logger, setting, visible.Count, all.Count);
            var offered = GpuNumbers.Keep(Path.Combine(identity.StateFolder, "gpus"), visible);
            return new NodeGpus(nvml, offered, cores, topology, timeProvider, logger);
        }
        catch
        {
            nvml.Dispose();
            throw;
        }
    }

    private IEnumerable<Measurement<double>> SlotUtilization() => _lastMeasured
        .Where(measured => measured.HasUtilization && Find(measured.Device)!.Kind == DeviceKind.Cpu)
        .Select(measured => new Measurement<double>(measured.Utilization, new KeyValuePair<string, object?>("hw.id", measured.Device)));

    [LoggerMessage(Level = LogLevel.Information, Message = "No GPUs: {Reason}")]
    private static partial void LogNoGpu(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "CUDA_VISIBLE_DEVICES is '{Setting}': {Visible} of {All} GPUs are offered")]
    private static partial void LogHidden(ILogger logger, string? setting, int visible, int all);

    [LoggerMessage(Level = LogLevel.Warning, Message = Jemalloc.Missing)]
    private static partial void LogNoJemalloc(ILogger logger);
}
