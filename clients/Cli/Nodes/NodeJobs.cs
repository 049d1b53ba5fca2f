using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>Who has a node's devices, as far as the caller is told.</summary>
internal static class NodeJobs
{
    /// <summary>Each job once, by the beginning of its id; those that are not told of are one of them together.</summary>
    public static IEnumerable<string> Of(Node node) =>
        node.Devices.Where(device => device.IsHeld()).OrderBy(device => device.IsHeldByHiddenJob()).Select(Holder).Distinct();

    /// <summary>Empty: it is free.</summary>
    public static string Holder(DeviceStatus device) =>
        device.IsHeldByHiddenJob() ? DeviceHolders.HiddenJob : Words.Short(device.JobId);
}
