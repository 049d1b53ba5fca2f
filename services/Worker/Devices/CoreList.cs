using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>Lists of cores as the kernel writes them: "0-3,8".</summary>
internal static class CoreList
{
    private const int MaxCore = 1023;

    /// <summary>Distinct cores in the order given.</summary>
    public static bool TryParse(string text, out IReadOnlyList<int> cores)
    {
        var found = new List<int>();
        cores = found;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var ends = part.Split('-');
            if (ends.Length > 2 || !TryCore(ends[0], out var first) || !TryCore(ends[^1], out var last) || last < first)
                return false;
            for (var core = first; core <= last; core++)
            {
                if (found.Contains(core))
                    return false;
                found.Add(core);
            }
        }

        return true;
    }

    public static string Text(IReadOnlyList<int> cores)
    {
        var parts = new List<string>();
        for (var i = 0; i < cores.Count; i++)
        {
            var first = i;
            while (i + 1 < cores.Count && cores[i + 1] == cores[i] + 1)
                i++;
            parts.Add(i == first ? $"{cores[i]}" : $"{cores[first]}-{cores[i]}");
        }

        return string.Join(',', parts);
    }

    private static bool TryCore(string text, out int core) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out core) && core <= MaxCore;
}
