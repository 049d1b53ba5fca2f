using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Nodes;

/// <summary>Kinds of devices as people call them.</summary>
internal static class KindNames
{
    public static string Of(DeviceKind kind) => kind == DeviceKind.Cuda ? "GPU" : "CPU";
}
