using System.Collections.Immutable;
using System.Globalization;

namespace Cluster.Placement;

/// <summary>What nodes have in common that a decision cannot tell apart when nothing runs on them.</summary>
internal sealed class NodeProfile
{
    private readonly IReadOnlyDictionary<string, string> _labels;
    private readonly ImmutableArray<long> _gpuBytes;
    private readonly int _cpuDevices;

    public NodeProfile(RegisteredNode node)
    {
        _labels = node.Labels;
        DataSets = node.DataSets;
        _gpuBytes = [.. node.Devices.Where(d => d.Kind == DeviceClass.Cuda).Select(d => d.MemoryBytes)];
        _cpuDevices = node.Devices.Count(d => d.Kind == DeviceClass.Cpu);
        CpuBytes = node.Devices.Where(d => d.Kind == DeviceClass.Cpu).Sum(d => d.MemoryBytes);
    }

    public IReadOnlySet<string> DataSets { get; }

    /// <summary>Of all CPU devices together; 0: not known, and no bound.</summary>
    public long CpuBytes { get; }

    /// <summary>Nodes of one key have one profile.</summary>
    public static string KeyOf(RegisteredNode node) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Text.Counted(node.Labels)}|{string.Concat(node.DataSets.Order(StringComparer.Ordinal).Select(Text.Counted))}|"
        + $"{string.Join(',', node.Devices.Select(d => $"{d.Kind}:{d.MemoryBytes}"))}");

    /// <summary>Whether a node like this will do, however many devices it has.</summary>
    public bool Admits(DeviceNeed need) =>
        (need.DataSet.Length == 0 || DataSets.Contains(need.DataSet))
        && need.Labels.All(l => _labels.TryGetValue(l.Key, out var value) && value == l.Value);

    /// <summary>How many ranks of so many bytes its devices could hold, were all of them free.</summary>
    /// <param name="rankBytes">0: not known.</param>
    public int Count(DeviceClass kind, long rankBytes) => kind == DeviceClass.Cpu
        ? (int)Math.Min(_cpuDevices, CpuRanks(CpuBytes, rankBytes))
        : _gpuBytes.Count(bytes => Holds(bytes, rankBytes));

    public int Count(DeviceClass kind) => kind == DeviceClass.Cpu ? _cpuDevices : _gpuBytes.Length;

    /// <summary>Whether memory cannot be what keeps a rank from a free device.</summary>
    public bool HoldsOnEach(DeviceClass kind, long rankBytes) =>
        rankBytes == 0 || (kind == DeviceClass.Cpu ? CpuBytes == 0 : _gpuBytes.All(bytes => Holds(bytes, rankBytes)));

    /// <summary>How many ranks of so many bytes fit beside each other in <paramref name="cpuBytes"/> of a node's memory.</summary>
    public long CpuRanks(long cpuBytes, long rankBytes) =>
        CpuBytes == 0 || rankBytes == 0 ? long.MaxValue : Math.Max(cpuBytes, 0) / rankBytes;

    /// <summary>The most that one rank could have on a device of that kind.</summary>
    public long Largest(DeviceClass kind) => kind == DeviceClass.Cpu ? CpuBytes : _gpuBytes.DefaultIfEmpty().Max();

    public static bool Holds(long gpuBytes, long rankBytes) => gpuBytes == 0 || gpuBytes >= rankBytes;
}
