using Npgsql;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>A table that nobody else can use until this is disposed of: whoever tries is held up in the middle of what it does.</summary>
internal sealed class HeldTable : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;

    private HeldTable(NpgsqlConnection connection) => _connection = connection;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task<HeldTable> HoldAsync(TestCluster cluster, string table)
    {
        var connection = new NpgsqlConnection(cluster.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand($"begin; lock table {table} in access exclusive mode", connection);
        await command.ExecuteNonQueryAsync(Token);
        return new HeldTable(connection);
    }

    /// <summary>Returns once somebody is held up.</summary>
    public Task HeldUpAsync() => Eventually.HoldsAsync(async () =>
    {
        await using var command = new NpgsqlCommand(
            """
            select exists (select from pg_locks
                where not granted and database = (select oid from pg_database where datname = current_database()))
            """, _connection);
        return await command.ExecuteScalarAsync(Token) is true;
    });

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
