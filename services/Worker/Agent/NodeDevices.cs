using System.Diagnostics.Metrics;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;
using Cluster.Worker.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>This node's devices, found once when the agent starts.</summary>
internal sealed partial class NodeDevices : IDisposable
{
    private readonly Nvml? _nvml;
    private readonly DeviceMonitor _monitor;
    private readonly IReadOnlyList<int>? _pinnedCores;
    private readonly int _coresPerSlot;
    private readonly Meter _meter = new(WorkerTelemetry.AgentName);
    private volatile IReadOnlyList<DeviceUtilization> _lastUtilization = [];

    public NodeDevices(IOptions<AgentOptions> options, MachineMemory memory, TimeProvider timeProvider, ILogger<NodeDevices> logger)
    {
        _nvml = Nvml.TryOpen(out var reason);
        if (_nvml is null)
            LogNoGpu(logger, reason);
        if (Jemalloc.Path is null)
            LogNoJemalloc(logger);
        All = DeviceDiscovery.Find(options.Value, _nvml?.Gpus() ?? [], Libc.ThreadCores().Count, memory);
        if (All.Count == 0)
            throw new InvalidOperationException(
                "this node has no GPU and Agent:CpuSlots is 0, so nothing can run here; raise Agent:CpuSlots");
        _monitor = new DeviceMonitor(All, _nvml, timeProvider);
        _coresPerSlot = options.Value.CoresPerSlot;
        if (options.Value.PinnedCores.Length > 0 && CoreList.TryParse(options.Value.PinnedCores, out var cores))
            _pinnedCores = cores;
        _meter.CreateObservableGauge(
            "hw.gpu.utilization", () => Measurements(DeviceKind.Cuda), "1", "Share of time in which a kernel ran.");
        _meter.CreateObservableGauge(
            "agent.slot.utilization", () => Measurements(DeviceKind.Cpu), "1", "A trainer's processor time over its slot's cores.");
    }

    public IReadOnlyList<Device> All { get; }

    public Device? Find(string id) => All.FirstOrDefault(device => device.Id == id);

    /// <summary>Cores to bind a device's trainer to, or null for none.</summary>
    public IReadOnlyList<int>? CoresOf(Device device)
    {
        if (_pinnedCores is null || device.Kind != DeviceKind.Cpu)
            return null;
        var slot = int.Parse(device.Id.AsSpan("cpu:".Length), System.Globalization.CultureInfo.InvariantCulture);
        return [.. _pinnedCores.Skip(slot * _coresPerSlot).Take(_coresPerSlot)];
    }

    /// <summary>How busy the devices were since the last call.</summary>
    public IReadOnlyList<DeviceUtilization> MeasureUtilization(Func<string, int?> processOf) =>
        _lastUtilization = _monitor.Measure(processOf);

    public void Dispose()
    {
        _meter.Dispose();
        _nvml?.Dispose();
    }

    private IEnumerable<Measurement<double>> Measurements(DeviceKind kind) => _lastUtilization
        .Where(measured => Find(measured.Device)!.Kind == kind)
        .Select(measured => new Measurement<double>(measured.Utilization, new KeyValuePair<string, object?>("hw.id", measured.Device)));

    [LoggerMessage(Level = LogLevel.Information, Message = "No GPUs: {Reason}")]
    private static partial void LogNoGpu(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = Jemalloc.Missing)]
    private static partial void LogNoJemalloc(ILogger logger);
}
