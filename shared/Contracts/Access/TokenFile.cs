namespace Cluster.Contracts.Access;

/// <summary>
/// A file with a token, as a scheduler reads it and those who present it: while one takes another's place it has both, the new one last.
/// </summary>
public static class TokenFile
{
    /// <summary>Those that count.</summary>
    public static IReadOnlyList<string> Tokens(string path) =>
        [.. File.ReadLines(path).Select(line => line.Trim()).Where(line => line.Length > 0)];

    /// <summary>The one to present; empty where there is none.</summary>
    public static string Newest(string path) => Tokens(path).LastOrDefault("");
}
