namespace Cluster.Contracts.Catalog;

/// <summary>Finds the name that someone probably meant.</summary>
public static class NearestName
{
    /// <summary>
    /// The candidate with the fewest single-character edits (insert, delete, replace, swap neighbours) from <paramref name="written"/>,
    /// case, "-" and "_" disregarded; null when even the nearest shares too little with it to be a likely slip.
    /// </summary>
    public static string? Of(string written, IEnumerable<string> candidates)
    {
        var plain = Plain(written);
        return candidates
            .Select(candidate => (Name: candidate, Edits: Edits(plain, Plain(candidate))))
            .Where(pair => pair.Edits <= Math.Max(1, Math.Min(plain.Length, pair.Name.Length) * 2 / 5))
            .OrderBy(pair => pair.Edits)
            .ThenBy(pair => pair.Name, StringComparer.Ordinal)
            .Select(pair => pair.Name)
            .FirstOrDefault();
    }

    /// <summary>Optimal string alignment distance.</summary>
    public static int Edits(string from, string to)
    {
        // Three rows are enough: a swap looks two rows back.
        var beforeLast = new int[to.Length + 1];
        var last = Enumerable.Range(0, to.Length + 1).ToArray();
        var current = new int[to.Length + 1];
        for (var i = 1; i <= from.Length; i++)
        {
            current[0] = i;
            for (var j = 1; j <= to.Length; j++)
            {
                var replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
                current[j] = Math.Min(replaced, Math.Min(last[j], current[j - 1]) + 1);
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                    current[j] = Math.Min(current[j], beforeLast[j - 2] + 1);
            }

            (beforeLast, last, current) = (last, current, beforeLast);
        }

        return last[to.Length];
    }

    // A key of a megabyte would cost a megabyte's comparisons: nothing that long is a slip of the pen.
    private static string Plain(string name) =>
        name[..Math.Min(name.Length, 64)].ToLowerInvariant().Replace("-", "").Replace("_", "");
}
