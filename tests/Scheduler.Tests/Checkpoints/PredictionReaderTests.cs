using System.Security.Cryptography;
using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Checkpoints;

public sealed class PredictionReaderTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Ranks take turns at samples, and chunks end anywhere within a row.</summary>
    [Fact]
    public async Task PartsOfTwoRanks_AreReadInTheOrderOfTheSamples_AndAreNoCheckpoints()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.RunAsync(job, 2);

        await Task.WhenAll(StoreAsync(cluster, job, 0, chunkBytes: 7), StoreAsync(cluster, job, 1, chunkBytes: 1000));

        var rows = await cluster.Get<PredictionReader>().ReadAsync(job, Token).ToListAsync(Token);
        rows.Select(row => row.Index).ShouldBe(Enumerable.Range(0, 40).Select(i => (long)i));
        rows[13].ShouldBe(Row(13));
        (await cluster.Get<CheckpointQueries>().ListAsync(job, 10, Token)).ShouldBeEmpty();
        await node.ExitAsync(job, 1, 0, exitCode: 1);
        await node.ExitAsync(job, 1, 1, exitCode: 1);
        cluster.Time.Advance(TimeSpan.FromSeconds(5));
        await node.HeartbeatAsync();
        await cluster.ReconcileAsync();
        cluster.Agents.Launches[^1].Request.ShouldSatisfyAllConditions(
            again => again.Attempt.ShouldBe(2), again => again.ResumeCheckpointId.ShouldBeEmpty("a restart begins anew"));
    }

    [Fact]
    public async Task AJobWithoutPredictions_IsToldFromOneWithNone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(waitForCapacity: true);

        await Should.ThrowAsync<NoPredictionsException>(
            async () => await cluster.Get<PredictionReader>().ReadAsync(job, Token).ToListAsync(Token));
    }

    private static async Task StoreAsync(TestCluster cluster, JobId job, int rank, int chunkBytes)
    {
        using var content = new MemoryStream();
        for (var i = 0; i < 40; i++)
        {
            if (i / 10 % 2 == rank)
                Row(i).WriteDelimitedTo(content);
        }

        var chunks = content.ToArray().Chunk(chunkBytes)
            .Select(data => new PutChunksRequest { Sha256 = ByteString.CopyFrom(SHA256.HashData(data)), Data = ByteString.CopyFrom(data) })
            .ToArray();
        await cluster.Get<ChunkStore>().PutAsync(cluster.Credential(job, 1, rank), Chunks.Stream(chunks), Token);
        await cluster.Get<CheckpointStore>().CommitAsync(cluster.Credential(job, 1, rank), new CheckpointManifest
        {
            WorldSize = 2,
            Kind = ArtifactKind.Predictions,
            Files = { Chunks.File(CheckpointLayout.PredictionsFileOf(rank), chunks) },
        }, 2, Token);
    }

    private static Prediction Row(int index) => new()
    {
        Index = index,
        Label = index % 10,
        Predicted = 3,
        Likeliest = { new ClassProbability { Class = 3, Probability = 0.75f },
            new ClassProbability { Class = index % 3, Probability = 0.125f } },
    };
}
