using Npgsql;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>The clock by which a test's database keeps leases: it stands where the test has put it.</summary>
internal static class TestClock
{
    /// <summary>Takes the place of the database's own.</summary>
    public static Task InstallAsync(string connectionString, DateTimeOffset now) => ExecuteAsync(
        connectionString,
        $"""
        create table if not exists test_clock (now timestamptz not null);
        truncate test_clock;
        insert into test_clock values ('{now:O}');
        create or replace function lease_clock() returns timestamptz language sql stable as 'select now from test_clock';
        """);

    public static Task SetAsync(string connectionString, DateTimeOffset now) =>
        ExecuteAsync(connectionString, $"update test_clock set now = '{now:O}'");

    private static async Task ExecuteAsync(string connectionString, string sql)
    {
        // Outside the scheduler's pools, which tests may exhaust or lose.
        await using var source = NpgsqlDataSource.Create(connectionString + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}
