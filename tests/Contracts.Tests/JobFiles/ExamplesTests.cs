using Cluster.Contracts.JobFiles;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class ExamplesTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "examples");

    public static TheoryData<string> Files =>
        [.. Directory.EnumerateFiles(Folder, "*.yaml", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Folder, file))];

    [Theory]
    [MemberData(nameof(Files))]
    public void Example_CouldRun(string file)
    {
        var yaml = File.ReadAllText(Path.Combine(Folder, file));
        if (ExperimentFile.Describes(yaml))
            ExperimentFile.Parse(yaml).Members.ShouldNotBeEmpty();
        else
            JobFile.Parse(yaml).Name.ShouldNotBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Example_IsInTheReadme(string file) => File.ReadAllText(Path.Combine(Folder, "README.md")).ShouldContain($"({file})");
}
