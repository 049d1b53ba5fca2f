using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Nodes;

/// <summary>What a device says of its own faults, in words.</summary>
internal static class NodeHealth
{
    public static string Of(DeviceStatus device)
    {
        if (device.Gpu is not { } gpu)
            return "";
        var faults = new List<string>();
        if (gpu.Unanswered is { } silence)
            faults.Add($"its driver has not answered for {silence.Seconds} s");
        if (gpu is { HasUncorrectedErrors: true, UncorrectedErrors: > 0 })
            faults.Add($"{gpu.UncorrectedErrors} uncorrected memory errors");
        if (gpu is { HasCorrectedErrors: true, CorrectedErrors: > 0 })
            faults.Add($"{gpu.CorrectedErrors} corrected memory errors");
        faults.AddRange(gpu.Xids.OrderBy(xid => xid.Key).Select(xid => $"XID {xid.Key} ×{xid.Value}"));
        return faults.Count == 0 ? "sound" : string.Join(", ", faults);
    }
}
