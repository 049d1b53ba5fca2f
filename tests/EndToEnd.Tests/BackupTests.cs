using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>The steps of docs/operations.md: a cluster is lost with all its data, and begins anew from its back-up.</summary>
public sealed class BackupTests : IAsyncLifetime
{
    private readonly LocalCluster _cluster = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-backup-");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _cluster.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    [Trait("Round", "full")]
    public async Task ALostCluster_GoesOnFromItsBackup()
    {
        using var client = new PatientClient(_cluster, _cluster.GrpcAddress);
        var done = await client.SubmitAsync(JobFiles.LeNet("done", epochs: 1), Cancelled);
        await client.SucceededAsync(done, Cancelled);
        var checkpoint = (await CheckpointsAsync(client, done))[0].Id;
        var weights = await WeightsAsync(checkpoint, "before");
        var running = await client.SubmitAsync(JobFiles.Endless("running"), Cancelled);
        await client.UntilAsync(running, job => job.Progress?.Step > 20, Cancelled); // past its second checkpoint

        var file = Path.Combine(_folder.FullName, "cluster.dump");
        await ClusterAsync("backup", file);
        await ClusterAsync("down", "--wipe");
        (await _cluster.RunAsync(["job", "list"], Cancelled)).ExitCode.ShouldNotBe(0);
        await ClusterAsync("restore", file);
        await _cluster.UpAsync(Cancelled);

        (await client.SucceededAsync(done, Cancelled)).Spec.Name.ShouldBe("done");
        (await WeightsAsync(checkpoint, "after")).ShouldBe(weights);
        await client.UntilAsync(running, job => job.Attempt > 1 && job.Progress?.Step > 0, Cancelled);
        IReadOnlyList<Checkpoint> stored = [];
        await Eventually.BeTrueAsync(
            async () => (stored = await CheckpointsAsync(client, running)).Any(each => each.Attempt > 1),
            () => "it stores another checkpoint", Cancelled);
        stored.Where(each => each.Attempt > 1).Min(each => each.Step)
            .ShouldBeGreaterThan(stored.Where(each => each.Attempt == 1).Max(each => each.Step), "it does not begin anew");
    }

    private static async Task<IReadOnlyList<Checkpoint>> CheckpointsAsync(PatientClient client, string job)
    {
        var request = new ListCheckpointsRequest { JobId = job, Limit = 1000 };
        var listed = await PatientClient.AskAsync(async options => await client.Runs.ListCheckpointsAsync(request, options), Cancelled);
        return listed.Checkpoints;
    }

    private async Task<byte[]> WeightsAsync(string checkpoint, string name)
    {
        var file = Path.Combine(_folder.FullName, $"{name}.safetensors");
        await ClusterAsync("checkpoint", "download", checkpoint, "--output", file);
        return await File.ReadAllBytesAsync(file, Cancelled);
    }

    private async Task ClusterAsync(params string[] arguments) => (await _cluster.RunAsync(arguments, Cancelled)).MustSucceed();
}
