namespace Cluster.Worker.Devices;

/// <summary>
/// The host's cores for each GPU's trainer. Pictures that are decoded on another NUMA node than the card's cross the link between
/// processors twice, and so does every launch's memory: a node's cores are divided evenly among its GPUs, whole physical cores together.
/// </summary>
internal static class GpuCores
{
    /// <param name="gpus">That the node offers; MIG instances share their card's part.</param>
    /// <param name="cores">That trainers may use; at least one.</param>
    /// <param name="topology">Of the machine.</param>
    /// <returns>
    /// By the GPU's id. Where a GPU does not say where it is, or the agent may use no core there, all cores are divided among all GPUs.
    /// </returns>
    public static IReadOnlyDictionary<string, IReadOnlyList<int>> Divide(
        IReadOnlyList<OfferedGpu> gpus, IReadOnlyList<int> cores, HostTopology topology)
    {
        var nodes = gpus.ToLookup(gpu => topology.NodeOf(gpu.Gpu.Card.PciAddress), gpu => gpu.Id);
        var parts = nodes.All(node => Near(node.Key).Count > 0)
            ? nodes.SelectMany(node => Shares([.. node], Together(Near(node.Key))))
            : Shares([.. gpus.Select(gpu => gpu.Id)], Together(cores));
        return parts.ToDictionary(share => share.Id, share => share.Cores);

        List<int> Near(int? node) => node is { } known ? [.. topology.CoresOf(known).Intersect(cores)] : [];

        // By physical core, so that a share has both threads of one and not one thread each of two that other trainers compute on as well.
        List<int> Together(IEnumerable<int> unsorted) => [.. unsorted.OrderBy(topology.PhysicalCoreOf).ThenBy(core => core)];
    }

    /// <summary>Consecutive parts whose sizes differ by one at most; more GPUs than cores share.</summary>
    private static IEnumerable<(string Id, IReadOnlyList<int> Cores)> Shares(string[] ids, List<int> cores)
    {
        for (var i = 0; i < ids.Length; i++)
        {
            var first = i * cores.Count / ids.Length;
            yield return (ids[i], [.. cores[first..Math.Max(first + 1, (i + 1) * cores.Count / ids.Length)]]);
        }
    }
}
