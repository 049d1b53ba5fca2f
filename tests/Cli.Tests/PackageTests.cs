using System.Diagnostics;

namespace Cluster.Cli.Tests;

/// <summary>What deploy/cli/package.sh makes, tried as somebody would who has it and not the repository.</summary>
public sealed class PackageTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-package-tests-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    [Trait("Round", "full")]
    public async Task Package_RunsAsOneFile_AndAsATool()
    {
        var packed = Path.Combine(_folder.FullName, "packed");
        var tools = Path.Combine(_folder.FullName, "tools");
        await RunAsync(Path.Combine(Repository.Root, "deploy", "cli", "package.sh"), packed);
        await RunAsync("dotnet", "tool", "install", "Cluster.Cli", "--add-source", packed, "--tool-path", tools, "--prerelease");

        foreach (var program in new[] { Path.Combine(packed, "cluster"), Path.Combine(tools, "cluster") })
        {
            var file = Path.Combine(_folder.FullName, "runs.parquet");
            await using var cluster = await FakeCluster.StartAsync();
            (await RunAsync(program, "models", "--csv")).ShouldStartWith("MODEL,FAMILY,");
            await RunAsync(
                program, "run", "export", "--format", "parquet", "-o", file, "--server", cluster.Address, "--token", FakeCluster.Token);
            File.Exists(file).ShouldBeTrue(program);
            File.Delete(file);
        }
    }

    private async Task<string> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _folder.FullName,
        };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        process.ExitCode.ShouldBe(0, $"{program}: {await output}{await error}");
        return await output;
    }
}
