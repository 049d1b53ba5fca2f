using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>Which cores lie near which device, as the kernel tells it.</summary>
/// <param name="sysFolder">Where its file system of devices is mounted.</param>
internal sealed class HostTopology(string sysFolder = "/sys")
{
    /// <summary>The NUMA node of a PCI device; null where the machine has but one, or does not say.</summary>
    public int? NodeOf(string pciAddress) =>
        Read($"bus/pci/devices/{pciAddress}/numa_node") is { } text && int.TryParse(text, CultureInfo.InvariantCulture, out var node) && node >= 0 ? node : null;

    /// <summary>Of a NUMA node; none where it has but memory.</summary>
    public IReadOnlyList<int> CoresOf(int node) => Read($"devices/system/node/node{node}/cpulist") is { } text && CoreList.TryParse(text, out var cores) ? cores : [];

    /// <summary>Two threads of one physical core have the same: the lower of their numbers.</summary>
    public int PhysicalCoreOf(int core) =>
        Read($"devices/system/cpu/cpu{core}/topology/thread_siblings_list") is { } text && CoreList.TryParse(text, out var siblings) ? siblings.Min() : core;

    private string? Read(string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(sysFolder, file)).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // no such device, or a container that hides it
        }
    }
}
