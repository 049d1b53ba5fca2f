using System.Diagnostics;
using System.IO.Compression;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;

namespace Cluster.Cli.Tests;

/// <summary>The command line as it is taken to another machine, made by the commands that docs/cli.md gives.</summary>
[Trait("Round", "full")]
public sealed partial class PackagedProgramTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-cli-packages-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Project => Path.Combine(Repository.Root, "clients", "Cli");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Tool_InstallsFromItsPackages_AndIsCompiledAhead()
    {
        var (packages, tools) = (PathOf("packages"), PathOf("tools"));
        await DotnetAsync("pack", Project, "-o", packages, $"-p:PublishDir={PathOf("published")}/");
        await DotnetAsync("tool", "install", "--tool-path", tools, "Cluster.Cli", "--source", packages);

        await RunsAsync(Path.Combine(tools, "cluster"));
        var package = Directory.GetFiles(packages, "Cluster.Cli.linux-x64.*.nupkg").Single();
        foreach (var assembly in new[] { "Cluster.Cli.dll", "Cluster.Contracts.dll", "Google.Protobuf.dll" })
            (await IsCompiledAheadAsync(package, assembly)).ShouldBeTrue(assembly);
    }

    [Fact]
    public async Task SingleFile_RunsWhereThereIsNoDotnet()
    {
        var output = PathOf("file");
        await DotnetAsync("publish", Project, "-r", "linux-x64", "-p:SingleFile=true", "-o", output);
        Directory.GetFileSystemEntries(output).Select(Path.GetFileName).ShouldBe(["Cluster.Cli"]);
        var program = PathOf("cluster");
        File.Move(Path.Combine(output, "Cluster.Cli"), program);

        // A program that needs a .NET looks here, and nowhere else.
        await RunsAsync(program, ("DOTNET_ROOT", "/nowhere"), ("PATH", "/nowhere"));
    }

    /// <summary>Without a scheduler, and with one.</summary>
    private async Task RunsAsync(string program, params (string Name, string Value)[] environment)
    {
        (await RunAsync(program, ["--version"], environment)).ShouldMatch(Version().ToString());
        (await RunAsync(program, ["job", "list", "--help"], environment)).ShouldContain("./cluster job list [options]");
        (await RunAsync(program, ["validate", "--offline", Path.Combine(Repository.Root, "examples", "lenet5-killed.yaml")], environment))
            .ShouldContain("name: lenet5-killed");

        await using var cluster = await FakeCluster.StartAsync();
        (string, string)[] there = [.. environment, ("CLUSTER_SERVER", cluster.Address), ("CLUSTER_TOKEN", FakeCluster.Token)];
        (await RunAsync(program, ["job", "list"], there)).ShouldStartWith("JOB ");
        (await RunAsync(program, ["job", "list", "--json"], there)).ShouldContain("\"jobs\"");
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private static Task<string> DotnetAsync(params string[] arguments) => RunAsync(
        "dotnet", arguments,
        // Analyzed it has been by the build; and no server of this one may outlive the test.
        ("RunAnalyzers", "false"),
        ("MSBUILDDISABLENODEREUSE", "1"), ("DOTNET_CLI_USE_MSBUILD_SERVER", "0"), ("UseSharedCompilation", "false"));

    private static async Task<string> RunAsync(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        process.ExitCode.ShouldBe(0, $"{program} {string.Join(' ', arguments)}\n{await output}\n{await error}");
        return await output;
    }

    /// <summary>Whether an assembly of a package holds machine code beside its intermediate language.</summary>
    private static async Task<bool> IsCompiledAheadAsync(string package, string assembly)
    {
        await using var archive = await ZipFile.OpenReadAsync(package, Cancellation);
        using var content = new MemoryStream();
        await using (var stored = await archive.Entries.Single(entry => entry.Name == assembly).OpenAsync(Cancellation))
            await stored.CopyToAsync(content, Cancellation);
        content.Position = 0;
        using var reader = new PEReader(content);
        return reader.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size > 0;
    }

    [GeneratedRegex(@"^\d+\.\d+\.\d+(\+[0-9a-f]+)?\n$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Version();
}
