using System.Globalization;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Nodes;

/// <summary>What a device measures, for people; empty where it does not say.</summary>
internal static class DeviceFigures
{
    public static string Utilization(DeviceStatus device) =>
        device.HasUtilization ? $"{(100 * device.Utilization).ToString("F0", CultureInfo.InvariantCulture)} %" : "";

    public static string Memory(DeviceStatus device) =>
        (device.Gpu is { HasUsedMemoryBytes: true } gpu ? $"{Figures.Bytes(gpu.UsedMemoryBytes)} of " : "")
        + Figures.Bytes(device.Device.MemoryBytes);

    public static string Temperature(DeviceStatus device) =>
        device.Gpu is { HasTemperatureCelsius: true } gpu ? $"{gpu.TemperatureCelsius:F0} °C" : "";

    public static string Power(DeviceStatus device) => device.Gpu is { HasPowerWatts: true } gpu ? $"{gpu.PowerWatts:F0} W" : "";
}
