using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>Which cores lie near which device, as the kernel tells it.</summary>
/// <param name="sysFolder">Where its file system of devices is mounted.</param>
internal sealed class HostTopology(string sysFolder = "/sys")
{
    /// <summary>The NUMA node of a PCI device; null where the machine has but one, or does not say.</summary>
    public int? NodeOf(string pciAddress) =>
        int.TryParse(Read($"bus/pci/devices/{pciAddress}/numa_node"), NumberStyles.None, CultureInfo.InvariantCulture, out var node)
            ? node
            : null; // "-1" too

    /// <summary>Of a NUMA node; none where it has but memory.</summary>
    public IReadOnlyList<int> CoresOf(int node) =>
        CoreList.TryParse(Read($"devices/system/node/node{node}/cpulist"), out var cores) ? cores : [];

    /// <summary>Two threads of one physical core have the same: the lower of their numbers.</summary>
    public int PhysicalCoreOf(int core) =>
        CoreList.TryParse(Read($"devices/system/cpu/cpu{core}/topology/thread_siblings_list"), out var siblings) ? siblings.Min() : core;

    private string Read(string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(sysFolder, file)).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ""; // no such device, or a container that hides it
        }
    }
}
