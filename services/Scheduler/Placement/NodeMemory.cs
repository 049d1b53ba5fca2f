using System.Collections.Immutable;
using System.Globalization;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Placement;

/// <summary>A node's memory as placement sees it, in bytes. CPU devices share one; every GPU has its own, and one rank at most.</summary>
/// <param name="Cpu">Of all CPU devices together; 0: not known, and no bound.</param>
/// <param name="CpuFree">Of that, what the ranks that hold devices are not expected to take.</param>
/// <param name="Gpus">By device; one that is not here, or has 0, is not known and no bound.</param>
internal sealed record NodeMemory(long Cpu, long CpuFree, ImmutableDictionary<string, long> Gpus)
{
    /// <summary>Bounds nothing.</summary>
    public static NodeMemory Unknown { get; } = new(0, 0, []);

    /// <summary>How many ranks of so many bytes fit beside each other in <paramref name="cpuBytes"/> of this node.</summary>
    public long CpuRanks(long cpuBytes, long rankBytes) => Cpu == 0 || rankBytes == 0 ? long.MaxValue : Math.Max(cpuBytes, 0) / rankBytes;

    public bool Holds(string gpu, long rankBytes) => Gpus.GetValueOrDefault(gpu) is var bytes && (bytes == 0 || bytes >= rankBytes);

    /// <summary>The most that one rank could have on a device of that kind.</summary>
    public long Largest(DeviceKind kind) => kind == DeviceKind.Cpu ? Cpu : Gpus.Values.DefaultIfEmpty().Max();
}

/// <summary>What one rank is expected to take of its device's memory, in bytes; 0: not known, and no bound.</summary>
/// <param name="Cpu">On a CPU device, where the process itself counts too.</param>
/// <param name="Gpu">On a GPU.</param>
internal readonly record struct RankMemory(long Cpu, long Gpu)
{
    public static RankMemory Of(MemoryEstimate? estimate) =>
        estimate is null ? default : new RankMemory(estimate.Total, estimate.Total - estimate.Process + estimate.GpuOnly);

    public long On(DeviceKind kind) => kind == DeviceKind.Cpu ? Cpu : Gpu;

    /// <summary>"3.2 GiB", the most that it may be on any of these kinds.</summary>
    public string Text(IEnumerable<DeviceKind> kinds) => Gibibytes(kinds.Max(On));

    public static string Gibibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):F1} GiB");
}
