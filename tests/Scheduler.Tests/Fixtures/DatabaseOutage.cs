using Npgsql;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>As if a scheduler's Postgres had gone: until this is disposed of, the server lets nobody into the database.</summary>
internal sealed class DatabaseOutage : IAsyncDisposable
{
    private readonly NpgsqlDataSource _server;
    private readonly string _name;

    private DatabaseOutage(NpgsqlDataSource server, string name) => (_server, _name) = (server, name);

    public static async Task<DatabaseOutage> BeginAsync(string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false };
        var name = settings.Database!;
        settings.Database = "postgres";
        var outage = new DatabaseOutage(NpgsqlDataSource.Create(settings.ConnectionString), name);
        await outage.ExecuteAsync($"alter database {name} with allow_connections false");
        await outage.ExecuteAsync($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        return outage;
    }

    public async ValueTask DisposeAsync()
    {
        await ExecuteAsync($"alter database {_name} with allow_connections true");
        await _server.DisposeAsync();
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _server.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
