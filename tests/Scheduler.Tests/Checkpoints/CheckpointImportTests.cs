using System.Security.Cryptography;
using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;

namespace Cluster.Scheduler.Tests.Checkpoints;

public sealed class CheckpointImportTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ASoundFile_BecomesACheckpointWithoutAJob()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        // Larger than several batches of chunks, its header cut by the first of them.
        var file = AFile(elements: 9 << 20);

        var id = await ImportAsync(cluster, file, file.Length, chunkBytes: 1 << 20, firstBytes: 11);

        var stored = (await cluster.Get<CheckpointQueries>().ListAsync(null, 10, Token)).ShouldHaveSingleItem();
        (stored.Id, stored.JobId, stored.Owner, stored.Bytes, stored.Source, stored.Model.Name).ShouldBe(
            (id.ToString(), "", "alice", file.Length, "w.safetensors", "lenet5"));
        var manifest = await cluster.Get<CheckpointQueries>().GetManifestAsync(id, Token);
        manifest.Tensors.Select(shard => (shard.Name, string.Join('x', shard.GlobalShape))).ShouldBe([("fc.weight", $"{9 << 20}")]);
        var read = new MemoryStream();
        foreach (var chunk in manifest.Files[0].Chunks)
            read.Write(await cluster.Get<ChunkStore>().GetAsync(id, chunk.Sha256, Token));
        read.ToArray().AsSpan().SequenceEqual(file).ShouldBeTrue();
    }

    [Theory]
    [InlineData(0, "safetensors header describes 12 bytes of data and the file has 8")]
    [InlineData(1, "ended after 90 of the 95 bytes announced")]
    [InlineData(2, "the safetensors header claims 9223372036854775807 bytes")]
    [InlineData(3, "has a header of 16777217 bytes; at most 16777216 can be imported")]
    public async Task AnUnsoundFile_IsRefused_AndLeavesNothing(int fault, string message)
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var file = AFile(elements: 3);
        long announced = file.Length;
        switch (fault)
        {
            case 0:
                file = file[..^4];
                announced = file.Length;
                break;
            case 1:
                announced += 5;
                message = $"ended after {file.Length} of the {announced} bytes announced";
                break;
            case 2:
                BitConverter.TryWriteBytes(file, long.MaxValue);
                break;
            default:
                BitConverter.TryWriteBytes(file, (16L << 20) + 1);
                announced = 20 << 20;
                break;
        }

        var refused = await Should.ThrowAsync<InvalidImportException>(() => ImportAsync(cluster, file, announced, chunkBytes: 40));

        refused.Message.ShouldContain(message);
        (await cluster.Get<CheckpointQueries>().ListAsync(null, 10, Token)).ShouldBeEmpty();
        (await CountAsync(cluster)).ShouldBe(0);
    }

    [Fact]
    public async Task AChangedChunk_IsRefused_AndTheBatchesBeforeItGo()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var file = AFile(elements: 4 << 20);

        await Should.ThrowAsync<ChunkCorruptException>(() => ImportAsync(cluster, file, file.Length, chunkBytes: 1 << 20, corrupt: 12));

        (await CountAsync(cluster)).ShouldBe(0);
    }

    [Fact]
    public async Task Deleted_ItLeavesNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var file = AFile(elements: 3);
        var kept = await ImportAsync(cluster, file, file.Length, chunkBytes: 1 << 20);
        var deleted = await ImportAsync(cluster, file, file.Length, chunkBytes: 1 << 20);

        await cluster.Get<CheckpointDeletion>().DeleteAsync(deleted, Token);

        (await cluster.Get<CheckpointQueries>().ListAsync(null, 10, Token)).ShouldHaveSingleItem().Id.ShouldBe($"{kept}");
        (await CountAsync(cluster)).ShouldBe(1);
    }

    private static byte[] AFile(int elements)
    {
        var header = SafetensorsWriter.Header([("fc.weight", "F32", [elements])]);
        var data = new byte[elements * sizeof(float)];
        new Random(1).NextBytes(data);
        return [.. header, .. data];
    }

    private static Task<Guid> ImportAsync(TestCluster cluster, byte[] file, long announced, int chunkBytes, int firstBytes = 0,
        int corrupt = -1) => cluster.Get<CheckpointImport>().ImportAsync(
            "alice", new ImportedFile { Name = "w.safetensors", Bytes = announced, Model = new ModelSpec { Name = "lenet5" } },
            Chunked(file, chunkBytes, firstBytes, corrupt).ToAsyncEnumerable(), Token);

    private static IEnumerable<PutChunksRequest> Chunked(byte[] file, int chunkBytes, int firstBytes, int corrupt)
    {
        for (int at = 0, number = 0; at < file.Length; number++)
        {
            var data = file[at..Math.Min(file.Length, at + (at == 0 && firstBytes > 0 ? firstBytes : chunkBytes))];
            at += data.Length;
            var hash = SHA256.HashData(data);
            if (number == corrupt)
                data[0] ^= 1;
            yield return new PutChunksRequest { Sha256 = ByteString.CopyFrom(hash), Data = ByteString.CopyFrom(data) };
        }
    }

    private static Task<long> CountAsync(TestCluster cluster) => cluster.Get<ClusterDatabase>().RunAsync(async (connection, token) =>
    {
        await using var command = new Npgsql.NpgsqlCommand("select count(*) from checkpoint_chunks", connection);
        return (long)(await command.ExecuteScalarAsync(token))!;
    }, Token);
}
