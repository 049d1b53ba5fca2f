using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Logging.Abstractions;
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
        var name = new NpgsqlConnectionStringBuilder(cluster.ConnectionString).Database;
        await ExecuteAsync($"alter database {name} allow_connections false");
        await ExecuteAsync($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");

        await Should.ThrowAsync<StoreUnavailableException>(() => cluster.SubmitAsync(requestId: "request"));
        await ExecuteAsync($"alter database {name} allow_connections true");
        var job = await cluster.SubmitAsync(requestId: "request");

        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued]);

        async Task ExecuteAsync(string sql)
        {
            await using var connection = new NpgsqlConnection(
                new NpgsqlConnectionStringBuilder(cluster.ConnectionString) { Database = "postgres", Pooling = false }.ConnectionString);
            await connection.OpenAsync(Token);
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(Token);
        }
    }

    private static Task<int> MigrateAsync(NpgsqlDataSource source) =>
        new Migrator(source, TimeProvider.System, NullLogger<Migrator>.Instance).MigrateAsync(Token);
}
