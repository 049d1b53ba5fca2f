using System.Diagnostics;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Tests;

/// <summary>examples/submit.py as a stranger would run it: Debian's protoc, python3 and grpcio.</summary>
public sealed class PythonExampleTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SubmitPy_SubmitsAndFollowsAJob()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(new WatchJobResponse { Job = Builders.ARunningJob() }, cancellation);
            await stream.WriteAsync(new WatchJobResponse { Job = Builders.AFinishedJob() }, cancellation);
        };
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var protos = Path.Combine(Repository.Root, "shared", "Contracts", "Protos");
            await RunAsync("protoc", folder, cluster,
                ["-I", protos, $"--python_out={folder.FullName}",
                    .. Directory.EnumerateFiles(protos, "*.proto", SearchOption.AllDirectories)]);

            var printed = await RunAsync("/usr/bin/python3", folder, cluster,
                [Path.Combine(Repository.Root, "examples", "submit.py"), Path.Combine(Repository.Root, "examples", "lenet5-killed.yaml")]);

            printed.ShouldBe($"{Builders.JobId} JOB_STATE_RUNNING step 300\n{Builders.JobId} JOB_STATE_SUCCEEDED step 2150\n");
            cluster.Submitted.ShouldHaveSingleItem().Yaml.ShouldContain("name: lenet5-killed");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<string> RunAsync(string program, DirectoryInfo folder, FakeCluster cluster, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = folder.FullName,
            Environment = { ["PYTHONPATH"] = folder.FullName, ["CLUSTER_SERVER"] = cluster.Address, ["CLUSTER_TOKEN"] = FakeCluster.Token },
        };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        process.ExitCode.ShouldBe(0, await error);
        return await output;
    }
}
