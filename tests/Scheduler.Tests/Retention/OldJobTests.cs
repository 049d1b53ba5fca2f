using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Retention;

public sealed class OldJobTests(PostgresServer postgres)
{
    private static readonly TimeSpan Keep = TimeSpan.FromDays(30);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task FinishedJob_GoesWithAllThatIsItsOwn_OnceItIsOld()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var old = await FinishedAsync(cluster, node);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        await node.HeartbeatAsync();
        var young = await FinishedAsync(cluster, node);
        await using var janitor = JanitorAfter(cluster, Keep);

        var removed = await janitor.SweepAsync();

        removed["jobs"].ShouldBe(1);
        (removed["metrics"], removed["logs"], removed["chunks"]).ShouldBe((1, 1, 1));
        foreach (var (table, column) in await TablesOfJobsAsync(cluster))
            (await TestDatabase.CountAsync(cluster, $"{table} where {column} = '{old}'")).ShouldBe(0, table);
        foreach (var table in new[] { "job_events", "attempts", "metrics", "logs", "log_sizes", "checkpoints", "device_grants" })
            (await TestDatabase.CountAsync(cluster, $"{table} where job_id = '{young}'")).ShouldBeGreaterThan(0, table);
        (await TestDatabase.CountAsync(cluster, $"checkpoint_chunks where holder = '{young}'")).ShouldBe(1);
        (await TestDatabase.CountAsync(cluster, "removed_jobs")).ShouldBe(0);
    }

    [Fact]
    public async Task JobWithWeightsThatAnUnfinishedJobBeginsWith_Stays_UntilThatHasEnded()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await FinishedAsync(cluster, node);
        var checkpoint = (await cluster.Get<CheckpointQueries>().ListAsync(job, 10, Token)).ShouldHaveSingleItem().Id;
        var user = await cluster.SubmitAsync(
            AJob().With(s => s.InitFrom = new InitFrom { Checkpoint = checkpoint }), waitForCapacity: true);
        await using var janitor = JanitorAfter(cluster, Keep + TimeSpan.FromSeconds(1));

        (await janitor.SweepAsync())["jobs"].ShouldBe(0);
        (await cluster.Get<CheckpointQueries>().ListAsync(job, 10, Token)).Count.ShouldBe(1);
        await cluster.Job(user).CancelAsync(new("alice", ""));

        (await janitor.SweepAsync())["jobs"].ShouldBe(2, "both have been over for long");
    }

    /// <summary>As a scheduler leaves it that does not live beyond the first of the two.</summary>
    [Fact]
    public async Task JobThatIsGone_WhoseMassesAreStillThere_LosesThemToo()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await FinishedAsync(cluster, await cluster.AddNodeAsync());
        await TestDatabase.ExecuteAsync(cluster, $"delete from jobs where id = '{job}'; insert into removed_jobs values ('{job}')");
        await using var janitor = JanitorAfter(cluster, TimeSpan.Zero);

        var removed = await janitor.SweepAsync();

        (removed["metrics"], removed["logs"], removed["chunks"]).ShouldBe((1, 1, 1));
        foreach (var table in new[] { "metrics", "logs", "checkpoint_chunks", "removed_jobs" })
            (await TestDatabase.CountAsync(cluster, table)).ShouldBe(0, table);
    }

    [Fact]
    public async Task Events_OfAJobThatEndedLongAgo_Go_ButTheLast()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await FinishedAsync(cluster, await cluster.AddNodeAsync());
        await using var janitor = new TestJanitor(cluster.ConnectionString, cluster.Time.GetUtcNow() + new RetentionOptions().Events);
        (await janitor.SweepAsync())["events"].ShouldBe(0);

        janitor.Time.Advance(TimeSpan.FromSeconds(1));
        (await janitor.SweepAsync())["events"].ShouldBe(3);

        (await cluster.StatesAsync(job)).ShouldBe([JobState.Succeeded]);
    }

    [Fact]
    public async Task WhatWasLearntOfHowLongJobsRun_Goes_OnceNoneOfTheirKindHasRunForLong()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        await FinishedAsync(cluster, node);
        cluster.Time.Advance(TimeSpan.FromSeconds(2));
        await node.HeartbeatAsync();
        await FinishedAsync(cluster, node);
        await using var janitor = new TestJanitor(cluster.ConnectionString, cluster.Time.GetUtcNow() + new RetentionOptions().Runtimes);
        (await janitor.SweepAsync())["runtimes"].ShouldBe(0, "the second time it was learnt anew");

        janitor.Time.Advance(TimeSpan.FromSeconds(1));

        (await janitor.SweepAsync())["runtimes"].ShouldBe(1);
        (await TestDatabase.CountAsync(cluster, "runtimes")).ShouldBe(0);
    }

    [Fact]
    public async Task Experiment_GoesWithItsLastJob()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await FinishedAsync(cluster, await cluster.AddNodeAsync());
        await TestDatabase.ExecuteAsync(cluster, $"""
            insert into experiments select id, 'alice', id::text, 'name', 'default', '', '{cluster.Time.GetUtcNow():o}'
            from (values ('{job}'::uuid), (gen_random_uuid())) e (id);
            update jobs set experiment_id = id
            """);
        await using var janitor = JanitorAfter(cluster, Keep);
        (await janitor.SweepAsync())["experiments"].ShouldBe(0);
        janitor.Time.Advance(TimeSpan.FromSeconds(1));

        var removed = await janitor.SweepAsync();

        (removed["jobs"], removed["experiments"]).ShouldBe((1, 2));
    }

    private static TestJanitor JanitorAfter(TestCluster cluster, TimeSpan time) =>
        new(cluster.ConnectionString, cluster.Time.GetUtcNow() + time, retention => retention.Jobs = Keep);

    /// <summary>A job that has trained, with a metric, a line of log and a checkpoint.</summary>
    private static async Task<JobId> FinishedAsync(TestCluster cluster, TestNode node)
    {
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var credential = cluster.Credential(job, 1);
        await cluster.Get<AttemptReports>().ReportAsync(
            credential, new ReportRequest { Sequence = 2, Points = { new MetricPoint { Name = "train/loss", Step = 1, Value = 1 } } },
            Token);
        await cluster.Get<LogStore>().AppendAsync(node.Id, job, 1, 1, [new LogLine { Text = "line" }], Token);
        await cluster.Get<ChunkStore>().PutAsync(credential, Chunks.Stream(Chunks.Of(1)), Token);
        await cluster.Get<CheckpointStore>().CommitAsync(
            credential, new CheckpointManifest { Step = 1, Files = { Chunks.File("model", Chunks.Of(1)) } }, 1, Token);
        await node.ExitAsync(job, 1, 0, TrainerExit.Done);
        return job;
    }

    /// <summary>Every table with a column that tells of which job a row is.</summary>
    private static async Task<IReadOnlyList<(string Table, string Column)>> TablesOfJobsAsync(TestCluster cluster)
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(cluster.ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand("""
            select c.relname::text, a.attname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
                and (a.attname in ('job_id', 'holder') or (c.relname = 'jobs' and a.attname = 'id')) and c.relname <> 'placement_changes'
            """);
        await using var reader = await command.ExecuteReaderAsync(Token);
        var tables = new List<(string, string)>();
        while (await reader.ReadAsync(Token))
            tables.Add((reader.GetString(0), reader.GetString(1)));
        tables.Count.ShouldBeGreaterThan(12);
        return tables;
    }
}
