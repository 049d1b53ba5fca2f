using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>Readers of checkpoints that take nothing.</summary>
[Collection(typeof(FaultTests))]
public sealed class SlowReaderTests(ThreeSchedulers schedulers)
{
    private const int Readers = 100;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("Round", "full")]
    public async Task HundredReadersThatTakeNothing_LeaveLeasesAndARunAsTheyWere()
    {
        var first = await schedulers.StartAsync("to-be-read", devices: 2);
        await schedulers.EndsUndisturbedAsync(first);
        var list = new ListCheckpointsRequest { JobId = first };
        var checkpoint = (await schedulers.Client.Runs.ListCheckpointsAsync(list, cancellationToken: Cancelled)).Checkpoints[0].Id;
        var describe = new DescribeCheckpointRequest { CheckpointId = checkpoint };
        var file = (await schedulers.Client.Checkpoints.DescribeCheckpointAsync(describe, cancellationToken: Cancelled)).Manifest.Files[0];

        // A window of each stream is sent, and then waits for its reader.
        var clients = Enumerable.Range(0, Readers).Select(schedulers.NewClient).ToList();
        var readers = clients.Select(client => client.Checkpoints.DownloadFile(
            new DownloadFileRequest { CheckpointId = checkpoint, File = file.Name }, cancellationToken: Cancelled)).ToList();
        try
        {
            await Task.WhenAll(readers.Select(reader => reader.ResponseHeadersAsync));
            var job = await schedulers.StartAsync("beside-readers", devices: 2);
            await Task.Delay(2 * schedulers.Lease, Cancelled);

            var done = await schedulers.EndsUndisturbedAsync(job);

            (done.Attempt, done.Restarts).ShouldBe((1, 0));
            foreach (var reader in readers)
                (await reader.ResponseStream.MoveNext(Cancelled)).ShouldBeTrue("it was waited for");
        }
        finally
        {
            readers.ForEach(reader => reader.Dispose());
            clients.ForEach(client => client.Dispose());
        }
    }
}
