using System.Security.Cryptography;
using Cluster.Contracts.Access;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Many who download a checkpoint and do not read on.</summary>
public sealed class SlowReaderTests(PostgresServer postgres)
{
    private const int Readers = 100;
    private const int ReadersAConnection = 25;
    private const int Chunks = 4;
    private const int ChunkBytes = 1 << 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Metadata Viewer => new() { { CallMetadata.Authorization, CallMetadata.Bearer(TestScheduler.ViewerToken) } };

    [Fact]
    public async Task Readers_WhoDoNotReadOn_HoldUpNeitherLeasesNorSubmitsNorEachOther()
    {
        // More readers than all pools together have connections.
        await using var scheduler = await TestScheduler.StartAsync(
            postgres, ("Persistence:ControlConnections", "4"), ("Persistence:QueryConnections", "2"), ("Persistence:BulkConnections", "2"));
        var node = await scheduler.AddNodeAsync("node");
        var checkpoint = await ImportAsync(scheduler);
        var channels = Enumerable.Range(0, Readers / ReadersAConnection)
            .Select(_ => GrpcChannel.ForAddress($"http://127.0.0.1:{scheduler.GrpcPort}")).ToList();
        var downloads = channels.SelectMany(channel => Enumerable.Range(0, ReadersAConnection).Select(_ => Download(channel, checkpoint)))
            .ToList();
        try
        {
            // Each has come so far that the server wants to send it more than it takes.
            foreach (var download in downloads)
                (await download.ResponseStream.MoveNext(Token)).ShouldBeTrue();

            var heartbeat = new HeartbeatRequest { NodeId = node.NodeId, Incarnation = node.Incarnation };
            (await scheduler.Registry().HeartbeatAsync(heartbeat, cancellationToken: Token)).LeaseDuration.ShouldNotBeNull();
            (await scheduler.SubmitWaitingAsync()).State.ShouldBe(JobState.Queued);
            (await scheduler.Nodes().ListNodesAsync(new ListNodesRequest(), cancellationToken: Token)).Nodes.ShouldHaveSingleItem();

            foreach (var download in downloads)
                (await CountRestAsync(download)).ShouldBe(Chunks - 1);
        }
        finally
        {
            downloads.ForEach(download => download.Dispose());
            channels.ForEach(channel => channel.Dispose());
        }
    }

    private static AsyncServerStreamingCall<DownloadFileResponse> Download(GrpcChannel channel, string checkpoint) =>
        new CheckpointService.CheckpointServiceClient(channel).DownloadFile(
            new DownloadFileRequest { CheckpointId = checkpoint, File = "model.safetensors" }, Viewer, cancellationToken: Token);

    private static async Task<int> CountRestAsync(AsyncServerStreamingCall<DownloadFileResponse> download)
    {
        var messages = 0;
        while (await download.ResponseStream.MoveNext(Token))
            messages++;
        return messages;
    }

    private static async Task<string> ImportAsync(TestScheduler scheduler)
    {
        byte[] header = [.. SafetensorsWriter.Header([("fc.weight", "F32", [(Chunks - 1) * ChunkBytes / sizeof(float)])])];
        var content = new byte[header.Length + ((Chunks - 1) * ChunkBytes)];
        header.CopyTo(content, 0);
        Random.Shared.NextBytes(content.AsSpan(header.Length));
        using var call = new CheckpointService.CheckpointServiceClient(scheduler.As(TestScheduler.SubmitterToken)).ImportCheckpoint();
        var file = new ImportedFile { Name = "model.safetensors", Bytes = content.Length, Model = new ModelSpec { Name = "lenet5" } };
        await call.RequestStream.WriteAsync(new ImportCheckpointRequest { File = file }, Token);
        foreach (var chunk in content.Chunk(ChunkBytes))
        {
            var put = new PutChunksRequest
            {
                Sha256 = ByteString.CopyFrom(SHA256.HashData(chunk)),
                Data = UnsafeByteOperations.UnsafeWrap(chunk),
            };
            await call.RequestStream.WriteAsync(new ImportCheckpointRequest { Chunk = put }, Token);
        }

        await call.RequestStream.CompleteAsync();
        return (await call.ResponseAsync).Checkpoint.Id;
    }
}
