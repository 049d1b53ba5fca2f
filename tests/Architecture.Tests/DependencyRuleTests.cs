using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Cluster.Architecture.Tests;

/// <summary>
/// Dependencies point one way: Scheduler → Contracts, Hosting, Placement, Search; Contracts → Search; Placement and Search → nothing;
/// Worker → Contracts, Hosting, Models; Dashboard → Contracts, Hosting; Hosting, Cli → Contracts; Models → TorchSharp.
/// The Scheduler never sees a tensor; the Dashboard never sees the database; Contracts knows neither Orleans nor TorchSharp.
/// </summary>
public sealed partial class DependencyRuleTests
{
    private static readonly string[] Families = ["Grpc.", "Microsoft.Orleans.", "TorchSharp"];

    public static TheoryData<string, string[], string[]> Projects => new()
    {
        { "shared/Contracts/Contracts.csproj", ["Search"], ["Grpc."] },
        { "shared/Hosting/Hosting.csproj", ["Contracts"], [] },
        { "shared/Models/Models.csproj", [], ["TorchSharp"] },
        { "shared/Placement/Placement.csproj", [], [] },
        { "shared/Search/Search.csproj", [], [] },
        { "services/Scheduler/Scheduler.csproj", ["Contracts", "Hosting", "Placement", "Search"], ["Grpc.", "Microsoft.Orleans."] },
        { "services/Worker/Worker.csproj", ["Contracts", "Hosting", "Models"], ["Grpc.", "TorchSharp"] },
        { "services/Dashboard/Dashboard.csproj", ["Contracts", "Hosting"], ["Grpc."] },
        { "clients/Cli/Cli.csproj", ["Contracts"], [] },
        { "bench/Bench.csproj", ["Scheduler", "Worker", "Placement", "Search"], [] },
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
    [InlineData("Cluster.Dashboard", "Orleans", "TorchSharp", "Npgsql", "Microsoft.EntityFrameworkCore", "Cluster.Models",
        "Cluster.Scheduler", "Cluster.Worker")]
    [InlineData("Cluster.Cli", "Orleans", "TorchSharp", "Npgsql", "Cluster.Models", "Cluster.Scheduler", "Cluster.Worker")]
    [InlineData("Cluster.Contracts", "Orleans", "TorchSharp", "Npgsql", "Cluster.Models", "Cluster.Scheduler", "Cluster.Worker")]
    [InlineData("Cluster.Placement", "Orleans", "Grpc", "Google", "Microsoft.EntityFrameworkCore", "Npgsql", "Cluster.Contracts")]
    [InlineData("Cluster.Search", "Orleans", "Grpc", "Google", "Microsoft.EntityFrameworkCore", "Npgsql", "Cluster.Contracts")]
    [InlineData("Cluster.Models", "Orleans", "Grpc", "Cluster.Contracts", "Cluster.Scheduler", "Cluster.Worker")]
    public void Assembly_NeverReaches(string assembly, params string[] forbidden)
    {
        var reached = Closure(assembly);

        foreach (var name in forbidden)
        {
            reached.ShouldNotContain(other => other == name || other.StartsWith(name + ".", StringComparison.Ordinal));
        }
    }

    /// <summary>What placement and searches decide depends on what they are told, time included.</summary>
    [Theory]
    [InlineData("shared/Placement")]
    [InlineData("shared/Search")]
    public void Decisions_HaveNoClock(string project)
    {
        var sources = Directory.GetFiles(Repository.PathOf(project), "*.cs").Select(File.ReadAllText).ToList();

        sources.ShouldNotBeEmpty();
        sources.ShouldAllBe(source => !Clock().IsMatch(source));
    }

    [GeneratedRegex(
        @"\b(?:UtcNow|Now|Today|TimeProvider|Stopwatch|TickCount|TickCount64|GetTimestamp)\b",
        RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Clock();

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
