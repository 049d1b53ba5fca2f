using Npgsql;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>A cluster's database past the scheduler.</summary>
internal static class TestDatabase
{
    public static async Task ExecuteAsync(TestCluster cluster, string sql)
    {
        await using var source = NpgsqlDataSource.Create(cluster.ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    public static Task<long> CountAsync(TestCluster cluster, string table) =>
        QueryAsync<long>(cluster, $"select count(*) from {table}");

    public static async Task<T> QueryAsync<T>(TestCluster cluster, string sql)
    {
        await using var source = NpgsqlDataSource.Create(cluster.ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }
}
