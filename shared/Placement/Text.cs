namespace Cluster.Placement;

/// <summary>Texts that are equal only where what they were made of is.</summary>
internal static class Text
{
    /// <summary>With its length before it, so that no separator within is taken for one between.</summary>
    public static string Counted(string text) => $"{text.Length}:{text}";

    public static string Counted(IEnumerable<KeyValuePair<string, string>> labels) =>
        string.Concat(labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => Counted(l.Key) + Counted(l.Value)));
}
