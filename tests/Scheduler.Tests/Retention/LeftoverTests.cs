using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using Npgsql;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Retention;

/// <summary>Each is what a scheduler leaves that makes the first of two writes and does not live to make the second.</summary>
public sealed class LeftoverTests(PostgresServer postgres)
{
    private static readonly TimeSpan Long = new CheckpointOptions().OrphanAge + TimeSpan.FromSeconds(1);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RowsOfAnAttemptThatEnded_Go_AndThoseOfOneThatGoesOnStay()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var jobs = new List<JobId> { await cluster.SubmitAsync(), await cluster.SubmitAsync() };
        foreach (var job in jobs)
        {
            await cluster.RunAsync(job);
            await TestDatabase.ExecuteAsync(cluster, $"""
                insert into checkpoint_parts values ('{job}', 1, 7, 0, 2, '');
                insert into rendezvous_endpoints values ('{job}', 1, 'collectives', 0, 'node', 'host:1', '')
                """);
        }

        // The attempt's end was stored; what follows it was not done.
        await TestDatabase.ExecuteAsync(cluster, $"update attempts set ended_at = now() where job_id = '{jobs[0]}'");
        var removed = await SweepAsync(cluster);

        foreach (var (kind, table) in new[]
        {
            ("checkpoint_parts", "checkpoint_parts"), ("report_cursors", "report_cursors"), ("rendezvous", "rendezvous_endpoints"),
        })
        {
            removed[kind].ShouldBe(1, kind);
            (await TestDatabase.CountAsync(cluster, table)).ShouldBe(1, table);
            (await TestDatabase.CountAsync(cluster, $"{table} where job_id = '{jobs[1]}'")).ShouldBe(1, table);
        }

        removed.ToString().ShouldBe("checkpoint_parts 1, rendezvous 1, report_cursors 1");
        (await SweepAsync(cluster)).ToString().ShouldBe("nothing");
    }

    [Fact]
    public async Task Sweep_WithManyJobsWaiting_DoesNotReadThem()
    {
        const int Waiting = 5000;
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 1);
        await cluster.RunAsync(await cluster.SubmitAsync());
        await SweepAsync(cluster); // of what an earlier version left it makes good once
        await TestDatabase.ExecuteAsync(cluster, $"""
            insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate, state,
                reason, version, last_event, attempt, restarts, launch_failures, avoid_nodes, created_at)
            select gen_random_uuid(), owner, 'copy ' || n, name, workspace, priority, spec, wait_for_capacity, '', '', 'Queued', '',
                1, 1, 0, 0, 0, avoid_nodes, created_at
            from jobs, generate_series(1, {Waiting}) n
            """);
        await TestDatabase.ExecuteAsync(cluster, "analyze");

        await SweepAsync(cluster);

        (await JobRowsReadAsync(cluster)).ShouldBeLessThan(Waiting);
    }

    [Fact]
    public async Task ChunksThatNothingNames_Go_OnceTheyAreOld_OfAJobAsOfAnImport()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var (job, waiting) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await cluster.RunAsync(job);
        await cluster.RunAsync(waiting);
        var store = cluster.Get<ChunkStore>();
        await store.PutAsync(cluster.Credential(job, 1), Chunks.Stream(Chunks.Of(1), Chunks.Of(2)), Token);
        await cluster.Get<CheckpointStore>().CommitAsync(
            cluster.Credential(job, 1), new CheckpointManifest { Step = 1, Files = { Chunks.File("model", Chunks.Of(1)) } }, 1, Token);
        await store.PutAsync(Guid.NewGuid(), (_, _) => Task.CompletedTask, Chunks.Stream(Chunks.Of(3)), Token);
        // Its rank 0 waits for the other, which stores its own chunks meanwhile.
        await store.PutAsync(cluster.Credential(waiting, 1), Chunks.Stream(Chunks.Of(4)), Token);
        await TestDatabase.ExecuteAsync(cluster, $"insert into checkpoint_parts values ('{waiting}', 1, 7, 0, 2, '')");
        (await SweepAsync(cluster)).ToString().ShouldBe("nothing");

        cluster.Time.Advance(Long);
        await store.PutAsync(cluster.Credential(job, 1), Chunks.Stream(Chunks.Of(5)), Token);

        (await SweepAsync(cluster)).ToString().ShouldBe("chunks 2");
        (await TestDatabase.CountAsync(cluster, "checkpoint_chunks")).ShouldBe(3);
    }

    [Fact]
    public async Task LogCursors_GoWithANewAttempt_AndWhenTheLinesOfAFinishedJobAreGone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts.InitialBackoff = new Duration()));
        for (var attempt = 1; attempt <= 2; attempt++)
        {
            await cluster.RunAsync(job);
            await cluster.Get<LogStore>().AppendAsync(node.Id, job, attempt, 1, [new LogLine { Text = "line" }], Token);
            await node.ExitAsync(job, attempt, 0, exitCode: attempt == 1 ? 1 : TrainerExit.Done);
        }

        (await SweepAsync(cluster))["log_cursors"].ShouldBe(1);
        (await TestDatabase.CountAsync(cluster, "log_cursors where attempt = 2")).ShouldBe(1);
        await using var later = new TestJanitor(
            cluster.ConnectionString, cluster.Time.GetUtcNow() + new RetentionOptions().Logs + TimeSpan.FromSeconds(1));
        (await later.SweepAsync())["log_cursors"].ShouldBe(1);
    }

    [Fact]
    public async Task Sweep_WhileAnotherSchedulerIsAtIt_DoesNothing()
    {
        var database = await postgres.CreateDatabaseAsync(Token);
        await using var janitor = new TestJanitor(database, DateTimeOffset.UtcNow);
        await using (var other = new NpgsqlConnection(database + ";Pooling=false"))
        {
            await other.OpenAsync(Token);
            await using var hold = new NpgsqlCommand($"select pg_advisory_lock({AdvisoryLocks.Janitor})", other);
            await hold.ExecuteNonQueryAsync(Token);
            (await janitor.TrySweepAsync()).ShouldBeNull();
        }

        // The server notices that the other has gone, and lets go of its lock.
        await Eventually.HoldsAsync(async () => await janitor.TrySweepAsync() is not null);
    }

    private static async Task<SweepTally> SweepAsync(TestCluster cluster) =>
        (await cluster.Get<Janitor>().SweepAsync(Token)).ShouldNotBeNull();

    /// <summary>Since the database was made. A session tells what it read when it ends, if not before; so this ends them.</summary>
    private static async Task<long> JobRowsReadAsync(TestCluster cluster)
    {
        const string Others = "pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        await TestDatabase.ExecuteAsync(cluster, $"select pg_terminate_backend(pid, 60000) from {Others}");
        return await TestDatabase.QueryAsync<long>(
            cluster, "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'jobs'");
    }
}
