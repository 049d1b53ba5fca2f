using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Checkpoints;

public sealed class CheckpointTests(PostgresServer postgres)
{
    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public async Task Best_IsNeverOneWhoseAccuracyIsNotFinite(double accuracy)
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var store = cluster.Get<CheckpointStore>();

        await store.CommitAsync(cluster.Credential(job, 1), new CheckpointManifest { Step = 1, ValidationAccuracy = 0.5 }, 1, Token);
        await store.CommitAsync(cluster.Credential(job, 1), new CheckpointManifest { Step = 2, ValidationAccuracy = accuracy }, 1, Token);

        (await cluster.Get<CheckpointQueries>().ChooseAsync(job, CheckpointChoice.Best, Token))!.Step.ShouldBe(1);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Checkpoint_OfTwoParts_IsSeenOnlyOnceBothAreThere()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster, ranks: 2);
        var (zero, one) = (Chunks.Of(0), Chunks.Of(1));
        await PutAsync(cluster, job, 0, zero);
        await PutAsync(cluster, job, 1, one);

        var first = CommitAsync(cluster, job, 0, Manifest(8, Chunks.File("model-0", zero)), 2);
        (await cluster.Get<CheckpointQueries>().ListAsync(job, 100, Token)).ShouldBeEmpty();
        var second = CommitAsync(cluster, job, 1, Manifest(8, Chunks.File("model-1", one), accuracy: 0.75), 2);
        var id = await second;

        (await first).ShouldBe(id);
        var seen = (await cluster.Get<CheckpointQueries>().ListAsync(job, 100, Token)).ShouldHaveSingleItem();
        (seen.Id, seen.Step, seen.Bytes, seen.ValidationAccuracy, seen.Attempt).ShouldBe((id.ToString(), 8, 2000, 0.75, 1));
        var manifest = await cluster.Get<CheckpointStore>().GetManifestAsync(job, id, Token);
        manifest.Files.Select(f => f.Name).ShouldBe(["model-0", "model-1"]);
        manifest.ValidationAccuracy.ShouldBe(0.75);
        (await CommitAsync(cluster, job, 0, Manifest(8, Chunks.File("model-0", zero)), 2)).ShouldBe(id, "asked again, it answers the same");
    }

    [Fact]
    public async Task Chunks_AreReadThroughTheCheckpointThatHasThem()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster);
        var chunks = new[] { Chunks.Of(1), Chunks.Of(2, 1 << 20), Chunks.Of(3) };
        await PutAsync(cluster, job, 0, chunks);
        var id = await CommitAsync(cluster, job, 0, Manifest(1, Chunks.File("model", chunks[0], chunks[1])));

        (await cluster.Get<ChunkStore>().GetAsync(id, chunks[1].Sha256, Token)).ShouldBe(chunks[1].Data.ToByteArray());
        await Should.ThrowAsync<ChunkMissingException>(() => cluster.Get<ChunkStore>().GetAsync(id, chunks[2].Sha256, Token));
        await Should.ThrowAsync<CheckpointNotFoundException>(() => cluster.Get<CheckpointStore>().GetManifestAsync(JobId.New(), id, Token));
    }

    [Fact]
    public async Task Put_OfAKnownChunk_StoresNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster);

        (await PutAsync(cluster, job, 0, Chunks.Of(1), Chunks.Of(1), Chunks.Of(2))).ShouldBe(2000);
        (await PutAsync(cluster, job, 0, Chunks.Of(1), Chunks.Of(3))).ShouldBe(1000);
    }

    [Fact]
    public async Task Put_OfTheSameChunksByTwoRanksAtOnce_StoresThemOnce()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster, ranks: 2);
        var chunks = Enumerable.Range(0, 24).Select(i => Chunks.Of((byte)i, 1 << 20)).ToArray();

        var stored = await Task.WhenAll(PutAsync(cluster, job, 0, chunks), PutAsync(cluster, job, 1, [.. chunks.Reverse()]));

        stored.Sum().ShouldBe(24 << 20);
    }

    [Fact]
    public async Task Put_OfBytesThatDoNotMatchTheirHash_IsRefused()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster);
        var chunk = Chunks.Of(1);
        chunk.Data = ByteString.CopyFromUtf8("something else");

        await Should.ThrowAsync<ChunkCorruptException>(() => PutAsync(cluster, job, 0, chunk));
    }

    [Fact]
    public async Task Commit_OfAManifestWithAMissingChunk_IsRefused_AndWorksOnceItIsStored()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster);
        var manifest = Manifest(1, Chunks.File("model", Chunks.Of(1)));

        await Should.ThrowAsync<ChunkMissingException>(() => CommitAsync(cluster, job, 0, manifest));
        await PutAsync(cluster, job, 0, Chunks.Of(1));
        await CommitAsync(cluster, job, 0, manifest);

        (await cluster.Get<CheckpointQueries>().ListAsync(job, 100, Token)).Count.ShouldBe(1);
    }

    [Fact]
    public async Task Parts_ThatNameTheSameFile_AreRefused()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster, ranks: 2);
        await PutAsync(cluster, job, 0, Chunks.Of(1));
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var waiting = cluster.Get<CheckpointStore>()
            .CommitAsync(cluster.Credential(job, 1, 0), Manifest(1, Chunks.File("model", Chunks.Of(1))), 2, giveUp.Token);
        await PartsAsync(cluster, 1);

        await Should.ThrowAsync<ManifestConflictException>(
            () => CommitAsync(cluster, job, 1, Manifest(1, Chunks.File("model", Chunks.Of(1))), 2));
        await giveUp.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task Retention_KeepsTheNewestAndTheBest_AndDropsTheChunksOfTheRest()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(
            cluster, job: AJob().With(s => s.Checkpoints = new CheckpointPolicy { KeepLatest = 2, KeepBest = true }));
        var shared = Chunks.Of(100);
        var accuracies = new[] { 0.5, 0.9, 0.9, 0.7, 0.8, 0.6 };
        for (var i = 0; i < accuracies.Length; i++)
        {
            await PutAsync(cluster, job, 0, shared, Chunks.Of((byte)i));
            await CommitAsync(cluster, job, 0, Manifest(i + 1, Chunks.File("model", shared, Chunks.Of((byte)i)), accuracies[i]));
            // Chunks without a checkpoint are given time, since their manifest may be on its way.
            cluster.Time.Advance(TimeSpan.FromHours(1));
        }

        await cluster.Get<CheckpointRetention>().ApplyAsync(job, Token);

        (await cluster.Get<CheckpointQueries>().ListAsync(job, 100, Token)).Select(c => c.Step).ShouldBe([6L, 5, 2]);
        (await CountAsync(cluster, "checkpoint_chunks")).ShouldBe(4);
    }

    [Fact]
    public async Task ChunksOnTheirWay_OutliveRetention_AndGoWhenTheAttemptEnds()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster);
        await PutAsync(cluster, job, 0, Chunks.Of(1));
        await CommitAsync(cluster, job, 0, Manifest(1, Chunks.File("model", Chunks.Of(1))));
        await PutAsync(cluster, job, 0, Chunks.Of(2));

        await cluster.Get<CheckpointRetention>().ApplyAsync(job, Token);
        (await CountAsync(cluster, "checkpoint_chunks")).ShouldBe(2);
        await cluster.Job(job).RankExitedAsync(new Scheduler.Jobs.RankExit(
            new NodeId(Guid.Parse((await cluster.GetAsync(job)).Placement[0].NodeId)), 1, 0, 1, 0, "", Evicted: false));

        (await CountAsync(cluster, "checkpoint_chunks")).ShouldBe(1);
        (await CountAsync(cluster, "report_cursors")).ShouldBe(0);
    }

    private static async Task<JobId> RunningAsync(TestCluster cluster, int ranks = 1, JobSpecBuilder? job = null)
    {
        await cluster.AddNodeAsync(devices: ranks);
        var id = await cluster.SubmitAsync((job ?? AJob()).WithDevices(ranks));
        await cluster.RunAsync(id, ranks);
        return id;
    }

    private static Task<long> PutAsync(TestCluster cluster, JobId job, int rank, params PutChunksRequest[] chunks) =>
        cluster.Get<ChunkStore>().PutAsync(cluster.Credential(job, 1, rank), Chunks.Stream(chunks), Token);

    private static Task<Guid> CommitAsync(TestCluster cluster, JobId job, int rank, CheckpointManifest manifest, int parts = 1) =>
        cluster.Get<CheckpointStore>().CommitAsync(cluster.Credential(job, 1, rank), manifest, parts, Token);

    private static CheckpointManifest Manifest(long step, CheckpointFile file, double? accuracy = null)
    {
        var manifest = new CheckpointManifest { Step = step, Epoch = 1, WorldSize = 1, Parallelism = Parallelism.Data, Files = { file } };
        if (accuracy is { } value)
            manifest.ValidationAccuracy = value;
        return manifest;
    }

    private static async Task PartsAsync(TestCluster cluster, int count)
    {
        while (await CountAsync(cluster, "checkpoint_parts") < count)
            Token.ThrowIfCancellationRequested();
    }

    private static Task<long> CountAsync(TestCluster cluster, string table) =>
        cluster.Get<ClusterDatabase>().RunAsync(async (connection, token) =>
        {
            await using var command = new Npgsql.NpgsqlCommand($"select count(*) from {table}", connection);
            return (long)(await command.ExecuteScalarAsync(token))!;
        }, Token);
}
