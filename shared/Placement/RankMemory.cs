using System.Globalization;

namespace Cluster.Placement;

/// <summary>What one rank is expected to take of its device's memory, in bytes; 0: not known, and no bound.</summary>
/// <param name="Cpu">On a CPU device, where the process itself counts too.</param>
/// <param name="Gpu">On a GPU.</param>
public readonly record struct RankMemory(long Cpu, long Gpu)
{
    public long On(DeviceClass kind) => kind == DeviceClass.Cpu ? Cpu : Gpu;

    /// <summary>"3.2 GiB", the most that it may be on any of these.</summary>
    internal string Text(IEnumerable<DeviceClass> kinds) => Gibibytes(kinds.Max(On));

    internal static string Gibibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):F1} GiB");
}
