namespace Cluster.EndToEnd.Tests;

/// <summary>What README.md tells people to do, done.</summary>
public sealed class ExampleTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task PythonProgram_SubmitsAndWatches()
    {
        const string python = "/usr/bin/python3";
        var stubs = Directory.CreateDirectory(Path.Combine(cluster.State, "stubs")).FullName;
        var protos = Path.Combine(Shell.Root, "shared/Contracts/Protos");
        var files = Directory.EnumerateFiles(Path.Combine(protos, "cluster/v1"), "*.proto");
        (await Shell.RunAsync(
            python, ["-m", "grpc_tools.protoc", "-I", protos, $"--python_out={stubs}", $"--grpc_python_out={stubs}", .. files],
            new Dictionary<string, string>(), Cancelled)).MustSucceed();
        var job = Path.Combine(cluster.State, "python.yaml");
        await File.WriteAllTextAsync(job, JobFiles.LeNet("from-python", epochs: 1, trainSamples: 1024), Cancelled);

        var outcome = await Shell.RunAsync(python, ["examples/submit.py", job], new Dictionary<string, string>
        {
            ["PYTHONPATH"] = stubs, ["CLUSTER_SERVER"] = cluster.GrpcAddress, ["CLUSTER_TOKEN_FILE"] = Path.Combine(cluster.State, "token"),
        }, Cancelled);

        outcome.MustSucceed().Output.ShouldContain("JOB_STATE_RUNNING");
        outcome.Output.TrimEnd().Split('\n')[^1].ShouldStartWith("JOB_STATE_SUCCEEDED");
    }
}
