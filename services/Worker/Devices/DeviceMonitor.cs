using Cluster.Contracts.V1;

namespace Cluster.Worker.Devices;

/// <summary>Measures how busy each device is, between one call and the next, and tells what GPUs have said of themselves.</summary>
/// <remarks>A GPU is as busy as NVML says; a CPU slot as its trainer's processor time over its cores. Nothing here waits.</remarks>
internal sealed class DeviceMonitor(IReadOnlyList<Device> devices, NodeGpus? gpus, TimeProvider timeProvider)
{
    private readonly Dictionary<string, (int ProcessId, double CpuSeconds, long At)> _last = [];

    /// <param name="processOf">The process of the trainer on a device, or null where none runs.</param>
    public IReadOnlyList<DeviceMeasurement> Measure(Func<string, int?> processOf)
    {
        var measured = new List<DeviceMeasurement>();
        foreach (var device in devices)
        {
            if (device.Kind == DeviceKind.Cuda)
                measured.Add(gpus!.Measure(device.Id));
            else if (CpuShare(device, processOf(device.Id)) is { } utilization)
                measured.Add(new DeviceMeasurement { Device = device.Id, Utilization = utilization });
        }

        return measured;
    }

    private double? CpuShare(Device device, int? processId)
    {
        if (processId is not { } id || ProcessTimes.TryRead(id) is not { } times)
        {
            _last.Remove(device.Id);
            return processId is null ? 0 : null;
        }

        var now = timeProvider.GetTimestamp();
        double? share = null;
        if (_last.TryGetValue(device.Id, out var last) && last.ProcessId == id
            && timeProvider.GetElapsedTime(last.At, now) is { Ticks: > 0 } elapsed)
            share = Math.Clamp((times.CpuSeconds - last.CpuSeconds) / (elapsed.TotalSeconds * device.Cores), 0, 1);
        _last[device.Id] = (id, times.CpuSeconds, now);
        return share;
    }
}
