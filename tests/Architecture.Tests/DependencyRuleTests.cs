using System.Reflection;
using System.Xml.Linq;

namespace Cluster.Architecture.Tests;

/// <summary>
/// Dependencies point one way: Scheduler → Contracts; Worker → Contracts, Models; Cli → Contracts; Models → TorchSharp.
/// The Scheduler never sees a tensor; Contracts knows neither Orleans nor TorchSharp.
/// </summary>
public sealed class DependencyRuleTests
{
    private static readonly string[] Families = ["Grpc.", "Microsoft.Orleans.", "TorchSharp"];

    public static TheoryData<string, string[], string[]> Projects => new()
    {
        { "shared/Contracts/Contracts.csproj", [], ["Grpc."] },
        { "shared/Models/Models.csproj", [], ["TorchSharp"] },
        { "services/Scheduler/Scheduler.csproj", ["Contracts"], ["Grpc.", "Microsoft.Orleans."] },
        { "services/Worker/Worker.csproj", ["Contracts", "Models"], ["Grpc.", "TorchSharp"] },
        { "clients/Cli/Cli.csproj", ["Contracts"], [] },
        { "bench/Bench.csproj", ["Worker"], [] },
    };

    [Theory]
    [MemberData(nameof(Projects))]
    public void ProjectFile_NamesOnlyWhatItMaySee(string project, string[] projects, string[] families)
    {
        var file = Repository.Project(project);

        Includes(file, "ProjectReference").Select(path => Path.GetFileNameWithoutExtension(path)!).ShouldBe(projects, ignoreOrder: true);
        Includes(file, "PackageReference")
            .Select(package => Families.FirstOrDefault(prefix => package.StartsWith(prefix, StringComparison.Ordinal)))
            .OfType<string>().Distinct().ShouldBe(families, ignoreOrder: true);
    }

    /// <summary>The compiled assemblies, with all that they pull in: a project file could hide a path through another.</summary>
    [Theory]
    [InlineData("Cluster.Scheduler", "TorchSharp", "Cluster.Models", "Cluster.Worker")]
    [InlineData("Cluster.Worker", "Orleans", "Npgsql", "Cluster.Scheduler")]
    [InlineData("Cluster.Cli", "Orleans", "TorchSharp", "Npgsql", "Cluster.Models", "Cluster.Scheduler", "Cluster.Worker")]
    [InlineData("Cluster.Contracts", "Orleans", "TorchSharp", "Npgsql", "Cluster.Models", "Cluster.Scheduler", "Cluster.Worker")]
    [InlineData("Cluster.Models", "Orleans", "Grpc", "Cluster.Contracts", "Cluster.Scheduler", "Cluster.Worker")]
    public void Assembly_NeverReaches(string assembly, params string[] forbidden)
    {
        var reached = Closure(assembly);

        foreach (var name in forbidden)
        {
            reached.ShouldNotContain(other => other == name || other.StartsWith(name + ".", StringComparison.Ordinal));
        }
    }

    private static IEnumerable<string> Includes(XDocument project, string item) =>
        project.Descendants(item).Select(element => element.Attribute("Include")!.Value);

    private static HashSet<string> Closure(string assembly)
    {
        var reached = new HashSet<string>();
        var open = new Queue<string>([assembly]);
        while (open.TryDequeue(out var name))
        {
            // The framework's own assemblies cannot lead back to ours.
            var path = Path.Combine(AppContext.BaseDirectory, name + ".dll");
            if (!File.Exists(path))
            {
                continue;
            }

            foreach (var reference in Assembly.LoadFrom(path).GetReferencedAssemblies())
            {
                if (reached.Add(reference.Name!))
                {
                    open.Enqueue(reference.Name!);
                }
            }
        }

        return reached;
    }
}
