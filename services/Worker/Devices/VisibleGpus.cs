using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>
/// Which GPUs an agent may offer: those that the CUDA_VISIBLE_DEVICES of its own environment leaves it, read as CUDA reads it (CUDA's
/// Programming Guide, "CUDA Environment Variables").
/// </summary>
internal static class VisibleGpus
{
    public const string Setting = "CUDA_VISIBLE_DEVICES";

    /// <param name="all">That the machine has.</param>
    /// <param name="setting">Indices by PCI address, UUIDs or their beginnings, with commas between; null leaves all.</param>
    /// <returns>In the setting's order, up to the first entry that names none or several; none where one is named twice.</returns>
    /// <remarks>
    /// A card in MIG mode stands for its instances; CUDA would give a process the first of them, and each trainer gets one.
    /// </remarks>
    public static IReadOnlyList<Gpu> Of(IReadOnlyList<Gpu> all, string? setting)
    {
        if (setting is null)
            return all;
        var visible = new List<Gpu>();
        foreach (var entry in setting.Split(',', StringSplitOptions.TrimEntries))
        {
            var named = Named(all, entry);
            if (named.Count == 0)
                break;
            if (named.Exists(visible.Contains))
                return [];
            visible.AddRange(named);
        }

        return visible;
    }

    private static List<Gpu> Named(IReadOnlyList<Gpu> all, string entry)
    {
        if (int.TryParse(entry, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            return [.. all.Where(gpu => gpu.Card.Index == index)];
        if (entry.StartsWith("GPU-", StringComparison.Ordinal))
            return OnlyOne(all.GroupBy(gpu => gpu.Card.Uuid).Where(card => card.Key.StartsWith(entry, StringComparison.Ordinal)));
        if (entry.StartsWith("MIG-", StringComparison.Ordinal))
            return OnlyOne(all.Where(IsNamed).Select(gpu => new[] { gpu }));
        return [];

        bool IsNamed(Gpu gpu) => gpu.IsInstance && (gpu.Uuid.StartsWith(entry, StringComparison.Ordinal) || gpu.InstanceName == entry);
    }

    private static List<Gpu> OnlyOne(IEnumerable<IEnumerable<Gpu>> found) => found.ToList() is [var only] ? [.. only] : [];
}
