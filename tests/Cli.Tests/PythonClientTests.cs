using System.Diagnostics;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Tests;

/// <summary>clients/python and what is written with it, by Debian's protoc, python3 and grpcio.</summary>
public sealed class PythonClientTests : IDisposable
{
    private const string Grpc = "/usr/lib/python3/dist-packages/grpc";
    private const string Wheel = "/usr/lib/python3/dist-packages/wheel";

    // Its own, since the messages are made within it.
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-python-tests-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Package_PassesItsOwnTests()
    {
        await PrepareAsync();

        await RunAsync(cluster: null, ["-m", "unittest", "discover", "-s", Path.Combine(Package, "tests")]);
    }

    /// <summary>By the build backend that pip asks, which knows nothing of the folder that it is started in.</summary>
    [Fact]
    public async Task Package_IsBuiltAsPipBuildsIt_AndHasItsMessages()
    {
        Assert.SkipUnless(Directory.Exists(Wheel), "python3-wheel is not installed");
        await PrepareAsync();
        const string build = """
            import sys, zipfile
            from setuptools import build_meta
            sys.path = [folder for folder in sys.path if folder]
            print(*zipfile.ZipFile(build_meta.build_wheel(".")).namelist(), sep="\n")
            """;
        File.Delete(Path.Combine(Package, "src", "cluster_client", "contracts.binpb"));

        var printed = await RunAsync(cluster: null, ["-c", build], Package);

        printed.Split('\n').ShouldContain("cluster_client/contracts.binpb");
        printed.Split('\n').ShouldContain("cluster_client/client.py");
    }

    [Fact]
    public async Task SubmitPy_SubmitsAndFollowsAJob()
    {
        await PrepareAsync();
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(new WatchJobResponse { Job = Builders.ARunningJob() }, cancellation);
            await stream.WriteAsync(new WatchJobResponse { Job = Builders.AFinishedJob() }, cancellation);
        };

        var printed = await RunAsync(cluster,
            [Path.Combine(Repository.Root, "examples", "submit.py"), Path.Combine(Repository.Root, "examples", "lenet5-killed.yaml")]);

        printed.ShouldBe($"{Builders.JobId} running step 300\n{Builders.JobId} succeeded step 2150\n");
        cluster.Submitted.ShouldHaveSingleItem().Yaml.ShouldContain("name: lenet5-killed");
    }

    private string Package => Path.Combine(_folder.FullName, "clients", "python");

    /// <summary>Copies the package, and makes its messages from the protos as they are.</summary>
    private async Task PrepareAsync()
    {
        Assert.SkipUnless(Directory.Exists(Grpc), "python3-grpcio is not installed");
        var package = Path.Combine(Repository.Root, "clients", "python");
        string[] others = [Path.Combine(package, "pyproject.toml"), Path.Combine(package, "README.md")];
        foreach (var file in Directory.EnumerateFiles(package, "*.py", SearchOption.AllDirectories).Concat(others))
        {
            var copy = Path.Combine(_folder.FullName, Path.GetRelativePath(Repository.Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        Directory.CreateSymbolicLink(Path.Combine(_folder.FullName, "shared"), Path.Combine(Repository.Root, "shared"));
        await RunAsync(cluster: null, [Path.Combine(Package, "make_contracts.py")]);
    }

    private async Task<string> RunAsync(FakeCluster? cluster, string[] arguments, string? folder = null)
    {
        var start = new ProcessStartInfo("/usr/bin/python3", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? _folder.FullName,
            Environment =
            {
                ["PYTHONPATH"] = Path.Combine(Package, "src"),
                ["CLUSTER_SERVER"] = cluster?.Address,
                ["CLUSTER_TOKEN"] = FakeCluster.Token,
            },
        };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        process.ExitCode.ShouldBe(0, await error);
        return await output;
    }
}
