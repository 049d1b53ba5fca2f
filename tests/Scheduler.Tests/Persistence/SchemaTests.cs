using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace Cluster.Scheduler.Tests.Persistence;

public sealed class SchemaTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Migrate_Twice_AppliesNothingTheSecondTime()
    {
        await using var source = NpgsqlDataSource.Create(await postgres.CreateEmptyDatabaseAsync(Token));

        (await MigrateAsync(source)).ShouldBeGreaterThan(0);
        (await MigrateAsync(source)).ShouldBe(0);
    }

    [Fact]
    public async Task Migrate_FromSeveralSchedulersAtOnce_AppliesEachFileOnce()
    {
        await using var source = NpgsqlDataSource.Create(await postgres.CreateEmptyDatabaseAsync(Token));

        var applied = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => MigrateAsync(source)));

        applied.Count(a => a > 0).ShouldBe(1);
    }

    /// <summary>As <c>Cluster.Scheduler migrate</c>.</summary>
    [Fact]
    public async Task MigrateCommand_BringsADatabaseUp_AndEnds()
    {
        var connection = await postgres.CreateEmptyDatabaseAsync(Token);

        await Program.MigrateAsync([$"--Persistence:ConnectionString={connection};Pooling=false", "--Logging:LogLevel:Default=Warning"]);

        await using var source = NpgsqlDataSource.Create(connection + ";Pooling=false");
        (await MigrateAsync(source)).ShouldBe(0);
    }

    [Fact]
    public async Task Migrate_OfANewerDatabase_IsRefused()
    {
        await using var source = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync(Token));
        await using (var command = source.CreateCommand("insert into schema_version values (9999, 'from the future', now())"))
            await command.ExecuteNonQueryAsync(Token);

        var refusal = await Should.ThrowAsync<InvalidOperationException>(() => MigrateAsync(source));

        refusal.Message.ShouldContain("schema version 9999");
    }

    [Fact]
    public async Task Device_GrantedTwice_IsRefusedByTheDatabase()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var (first, second) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        var (commit, rank) = (cluster.Get<PlanCommit>(), new PlannedRank(new NodeKey(node.Id.Value), node.Name, 1, "cpu:0"));

        (await commit.CommitAsync([new JobStart(first.Key(), [rank])], Token)).Length.ShouldBe(1);
        (await commit.CommitAsync([new JobStart(second.Key(), [rank])], Token)).ShouldBeEmpty();

        (await cluster.GetAsync(first)).State.ShouldBe(JobState.Starting);
        var waiting = await cluster.GetAsync(second);
        (waiting.State, waiting.Attempt).ShouldBe((JobState.Queued, 0));
        // And its grain works on what is stored.
        await cluster.Job(second).CancelAsync(new CancelJob("bob", ""));
        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Cancelled);
    }

    [Fact]
    public async Task Database_ThatIsAway_IsATypedFault_AndTheSchedulerLivesOn()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        await using (await DatabaseOutage.BeginAsync(cluster.ConnectionString))
            await Should.ThrowAsync<StoreUnavailableException>(() => cluster.SubmitAsync(requestId: "request"));

        var job = await cluster.SubmitAsync(requestId: "request");

        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued]);
    }

    /// <summary>As it was before metrics and logs lay in partitions by time.</summary>
    [Fact]
    public async Task Migrate_OfADatabaseWithData_KeepsMetricsAndLogs_InPartitionsOfTheirTime()
    {
        var connection = await postgres.CreateEmptyDatabaseAsync(Token);
        await using var source = NpgsqlDataSource.Create(connection + ";Pooling=false");
        await MigrateToAsync(source, 9);
        var (job, forgotten) = (Guid.NewGuid(), Guid.NewGuid());
        await ExecuteAsync(source, $"""
            insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate, state,
                reason, version, last_event, attempt, restarts, launch_failures, avoid_nodes, created_at)
            values ('{job}', 'alice', 'request', 'job', 'default', 0, '{JsonColumn.Write(JobSpecBuilder.AJob().Build())}', true, '', '',
                'Failed', '', 1, 1, 2, 0, 0, array[]::uuid[], now() - interval '30 days');
            insert into attempts (job_id, number, secret_hash, state, world_size, resume_step, created_at, ended_at, reason, launch_failed)
            select '{job}', number, '', 'Ended', 1, 40 * (number - 1), now(), now(), '', false from generate_series(1, 2) number;
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{job}', 1, 0, 'train/loss', step, 1, now() - interval '25 days' + step * interval '4 hours', 'NaN'
            from generate_series(1, 60) step;
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{job}', 2, 0, 'train/loss', step, 1, now() - interval '5 days' + step * interval '1 hour', step
            from generate_series(41, 100) step;
            -- By a clock that was years behind.
            insert into logs (job_id, time, attempt, rank, stream, text)
            select '{job}', now() - line * interval '40 days', 1, 0, 'Stdout', 'line ' || line from generate_series(1, 30) line;
            insert into log_sizes values ('{job}', 30 * 70);
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            values ('{forgotten}', 1, 0, 'train/loss', 1, 1, now(), 1)
            """);

        await MigrateAsync(source);
        await using var cluster = await TestCluster.StartAsync(connection, new FakeTimeProvider(DateTimeOffset.UtcNow), new FakeAgents());
        var points = await cluster.Get<MetricStore>().ReadAsync(new JobId(job), [], 0, 0, Token).SelectMany(page => page.Points)
            .ToListAsync(Token);
        var lines = await cluster.Get<LogStore>().ReadAsync(new JobId(job), 0, null, 100, Token);

        points.Select(point => point.Step).ShouldBe(Enumerable.Range(1, 100).Select(step => (long)step));
        points.Count(point => double.IsNaN(point.Value)).ShouldBe(40);
        lines.Select(line => line.Text).ShouldBe(Enumerable.Range(1, 30).Select(line => $"line {line}"));
        foreach (var table in new[] { "metrics_default", "logs_default" })
            (await TestDatabase.CountAsync(cluster, table)).ShouldBe(0, table);
        (await TestDatabase.CountAsync(cluster, "(select distinct tableoid from metrics) used")).ShouldBeGreaterThan(2);
        // What comes is after what was there.
        const string Later = "(select nextval('metrics_cursor') > max(cursor) as is_later from metrics) next where is_later";
        (await TestDatabase.CountAsync(cluster, Later)).ShouldBe(1);
    }

    /// <summary>Applies the files up to one, as the program did that knew no more of them.</summary>
    private static async Task MigrateToAsync(NpgsqlDataSource source, int version)
    {
        await ExecuteAsync(
            source, "create table schema_version (version integer primary key, name text not null, applied_at timestamptz not null)");
        var assembly = typeof(Migrator).Assembly;
        const string Folder = ".Migrations.";
        var resources = assembly.GetManifestResourceNames().Where(name => name.Contains(Folder, StringComparison.Ordinal));
        foreach (var resource in resources.Order(StringComparer.Ordinal))
        {
            var file = resource[(resource.IndexOf(Folder, StringComparison.Ordinal) + Folder.Length)..];
            var number = int.Parse(file[..4]);
            if (number > version)
                break;
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            await ExecuteAsync(source, await reader.ReadToEndAsync(Token));
            await ExecuteAsync(source, $"insert into schema_version values ({number}, '{file}', now())");
        }
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Token);
    }

    private static Task<int> MigrateAsync(NpgsqlDataSource source) =>
        new Migrator(source, TimeProvider.System, NullLogger<Migrator>.Instance).MigrateAsync(Token);
}
