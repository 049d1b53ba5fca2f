using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Cluster.Architecture.Tests;

/// <summary>The source tree that the tests were compiled from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string PathOf(string relative) => Path.Combine(Root, relative);

    public static XDocument Project(string relative) => XDocument.Load(PathOf(relative));

    private static string FindRoot([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
