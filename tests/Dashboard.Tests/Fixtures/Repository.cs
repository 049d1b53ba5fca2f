namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>The folder that the tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = Find(new DirectoryInfo(AppContext.BaseDirectory));

    private static string Find(DirectoryInfo folder) => File.Exists(Path.Combine(folder.FullName, "Cluster.sln"))
        ? folder.FullName
        : Find(folder.Parent ?? throw new InvalidOperationException("the tests run outside the repository"));
}
