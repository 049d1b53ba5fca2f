using System.Text.RegularExpressions;

namespace Cluster.Contracts;

/// <summary>Names that people give to jobs, workspaces and queues.</summary>
public static partial class Names
{
    public const string Range = "1 to 63 letters, digits, \".\", \"_\" or \"-\", the first a letter or digit";

    public static bool IsValid(string name) => Pattern().IsMatch(name);

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Pattern();
}
