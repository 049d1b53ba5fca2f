using System.Reflection;

namespace Cluster.Architecture.Tests;

/// <summary>
/// <c>polyfills/API.md</c> lists every public member of the polyfills, and each type's genuine documentation. To refresh it, run this class with
/// <c>UPDATE_API=1</c>; the "Documented at" lines that are there stay.
/// </summary>
public sealed class PolyfillApiTests
{
    private const string DocumentedAt = "Documented at: ";

    private static readonly string FilePath = Repository.PathOf("polyfills/API.md");

    [Theory]
    [InlineData("Grpc.Net.Client")]
    [InlineData("Grpc.AspNetCore")]
    [InlineData("Orleans")]
    [InlineData("TorchSharp")]
    public async Task ApiList_IsExactlyThePublicApi(string assembly)
    {
        Assert.SkipUnless(IsPolyfill, "Built with PackageSet=nuget: there is no polyfill to compare with.");
        var actual = PublicApi.Of(Assembly.Load(assembly));
        if (Environment.GetEnvironmentVariable("UPDATE_API") == "1")
            await UpdateAsync(assembly, actual);

        var section = Section(await File.ReadAllLinesAsync(FilePath, TestContext.Current.CancellationToken), assembly);
        var listed = section.Where(line => line.StartsWith("- `", StringComparison.Ordinal)).Select(line => line[3..^1]);

        var expected = actual.Values.SelectMany(members => members).ToHashSet(StringComparer.Ordinal);
        expected.Except(listed).ShouldBeEmpty("public, but not in polyfills/API.md");
        listed.Except(expected).ShouldBeEmpty("in polyfills/API.md, but not public");
        section.Count(line => line.StartsWith(DocumentedAt + "https://", StringComparison.Ordinal))
            .ShouldBe(section.Count(line => line.StartsWith("### ", StringComparison.Ordinal)), "every type says where its genuine counterpart is documented");
    }

    /// <summary>The genuine package keeps this type in Grpc.Core.Api.</summary>
    private static bool IsPolyfill => Assembly.Load("Grpc.Net.Client").GetType("Grpc.Core.Metadata", throwOnError: false)?.Assembly.GetName().Name == "Grpc.Net.Client";

    private static List<string> Section(string[] lines, string assembly) =>
        [.. lines.SkipWhile(line => line != $"## {assembly}").Skip(1).TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))];

    private static async Task UpdateAsync(string assembly, SortedDictionary<string, SortedSet<string>> types)
    {
        var lines = File.Exists(FilePath) ? await File.ReadAllLinesAsync(FilePath) : ["# Public API of the polyfills", ""];
        var old = Section(lines, assembly);
        var section = new List<string> { $"## {assembly}" };
        var preamble = old.TakeWhile(line => !line.StartsWith("### ", StringComparison.Ordinal)).ToList();
        section.AddRange(preamble.Count == 0 ? [""] : preamble);
        foreach (var (type, members) in types)
        {
            var documented = old.SkipWhile(line => line != $"### `{type}`").Skip(1)
                .TakeWhile(line => !line.StartsWith("### ", StringComparison.Ordinal))
                .FirstOrDefault(line => line.StartsWith(DocumentedAt, StringComparison.Ordinal));
            section.AddRange([$"### `{type}`", "", documented ?? DocumentedAt + DefaultPage(assembly, type), ""]);
            section.AddRange(members.Select(member => $"- `{member}`"));
            section.Add("");
        }
        var before = lines.TakeWhile(line => line != $"## {assembly}").ToList();
        var after = lines.Skip(before.Count + (before.Count < lines.Length ? 1 : 0) + old.Count);
        await File.WriteAllTextAsync(FilePath, string.Join('\n', [.. before, .. section, .. after]).TrimEnd() + "\n");
    }

    /// <summary>Where each genuine package's reference has its pages; a generic type's page ends in the number of its parameters.</summary>
    private static string DefaultPage(string assembly, string type)
    {
        var page = string.Join('.', type.Split('.').Select(part => part.Split('<') is [var name, var parameters] ? $"{name}-{parameters.Split(',').Length}" : part));
        return assembly switch
        {
            "Orleans" => $"https://learn.microsoft.com/dotnet/api/{page.ToLowerInvariant()}",
            "TorchSharp" => "https://github.com/dotnet/TorchSharp/tree/main/src/TorchSharp",
            _ => $"https://grpc.github.io/grpc/csharp-dotnet/api/{page}.html",
        };
    }
}
