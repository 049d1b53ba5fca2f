namespace Cluster.EndToEnd.Tests;

/// <summary>examples/rest.sh as a stranger would run it.</summary>
public sealed class RestTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CurlExample_SubmitsAndFollowsAJob()
    {
        var file = Path.Combine(cluster.State, "by-curl.yaml");
        await File.WriteAllTextAsync(file, JobFiles.LeNet("by-curl"), Cancelled);
        var environment = new Dictionary<string, string>
        {
            ["CLUSTER_REST"] = cluster.RestAddress,
            ["CLUSTER_TOKEN"] = cluster.Token,
        };

        var outcome = await Shell.RunAsync(Path.Combine(Shell.Root, "examples", "rest.sh"), [file], environment, Cancelled);

        outcome.MustSucceed();
        outcome.Output.ShouldContain("JOB_STATE_SUCCEEDED");
        outcome.Output.ShouldContain("NODE_STATE_READY");
    }
}
