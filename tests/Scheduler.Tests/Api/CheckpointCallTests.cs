using System.Security.Cryptography;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

[Collection(typeof(ApiTests))]
public sealed class CheckpointCallTests(SharedScheduler shared)
{
    [Fact]
    public async Task Delete_OfAnothersCheckpoint_NeedsAnOperator()
    {
        var mine = await ImportAsync();
        var theirs = await ImportAsync();

        var refusal = await Should.ThrowAsync<RpcException>(() => DeleteAsync(mine, TestScheduler.OtherSubmitterToken));
        (refusal.StatusCode, refusal.Status.Detail).ShouldBe(
            (StatusCode.PermissionDenied, $"checkpoint {mine} belongs to alice; deleting it needs the scope operator"));
        (await DeleteAsync(mine, TestScheduler.SubmitterToken)).Checkpoint.Source.ShouldBe("w.safetensors");
        (await DeleteAsync(theirs, TestScheduler.OperatorToken)).Checkpoint.Id.ShouldBe(theirs);

        (await Should.ThrowAsync<RpcException>(() => DeleteAsync(mine, TestScheduler.SubmitterToken)))
            .StatusCode.ShouldBe(StatusCode.NotFound);
    }

    private CheckpointService.CheckpointServiceClient As(string token) => new(shared.Scheduler.As(token));

    private async Task<DeleteCheckpointResponse> DeleteAsync(string id, string token) =>
        await As(token).DeleteCheckpointAsync(new DeleteCheckpointRequest { CheckpointId = id });

    private async Task<string> ImportAsync()
    {
        byte[] content = [.. SafetensorsWriter.Header([("fc.weight", "F32", [2])]), .. new byte[2 * sizeof(float)]];
        using var call = As(TestScheduler.SubmitterToken).ImportCheckpoint();
        await call.RequestStream.WriteAsync(new ImportCheckpointRequest
        {
            File = new ImportedFile { Name = "w.safetensors", Bytes = content.Length, Model = new ModelSpec { Name = "lenet5" } },
        });
        await call.RequestStream.WriteAsync(new ImportCheckpointRequest
        {
            Chunk = new PutChunksRequest { Sha256 = ByteString.CopyFrom(SHA256.HashData(content)), Data = ByteString.CopyFrom(content) },
        });
        await call.RequestStream.CompleteAsync();
        return (await call.ResponseAsync).Checkpoint.Id;
    }
}
