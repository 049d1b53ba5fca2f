using System.Globalization;
using System.Reflection;
using Npgsql;

namespace Cluster.Scheduler.Persistence;

/// <summary>Brings the schema up to this program: applies the numbered SQL files that the database has not seen, in order.</summary>
/// <remarks>
/// An advisory lock lets one scheduler migrate while others wait. Each file is one transaction together with its row in
/// <c>schema_version</c>, so a half-applied file does not exist.
/// </remarks>
public sealed partial class Migrator(NpgsqlDataSource source, TimeProvider time, ILogger<Migrator> logger)
{
    private const string ResourcePrefix = "Cluster.Scheduler.Persistence.Migrations.";

    /// <returns>How many files were applied; 0 when the schema was current.</returns>
    /// <exception cref="InvalidOperationException">The database is newer than this program.</exception>
    public async Task<int> MigrateAsync(CancellationToken cancellationToken)
    {
        var migrations = Load();
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(connection, $"select pg_advisory_lock({AdvisoryLocks.Migration})", cancellationToken);
        try
        {
            await ExecuteAsync(connection,
                "create table if not exists schema_version (version integer primary key, name text not null, "
                    + "applied_at timestamptz not null)",
                cancellationToken);
            var current = await CurrentVersionAsync(connection, cancellationToken);
            if (current > migrations[^1].Version)
            {
                throw new InvalidOperationException(
                    $"the database has schema version {current}, but this scheduler knows only {migrations[^1].Version}; "
                        + "run the newer scheduler");
            }

            var applied = 0;
            foreach (var migration in migrations.Where(m => m.Version > current))
            {
                await ApplyAsync(connection, migration, cancellationToken);
                LogApplied(migration.Version, migration.Name);
                applied++;
            }

            return applied;
        }
        finally
        {
            // A session lock survives the return of a pooled connection, so it must be given back by hand.
            await ExecuteAsync(connection, $"select pg_advisory_unlock({AdvisoryLocks.Migration})", CancellationToken.None);
        }
    }

    private static List<Migration> Load()
    {
        var assembly = Assembly.GetExecutingAssembly();
        var migrations = new List<Migration>();
        foreach (var resource in assembly.GetManifestResourceNames().Where(n => n.StartsWith(ResourcePrefix, StringComparison.Ordinal)))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            var name = resource[ResourcePrefix.Length..];
            migrations.Add(new Migration(int.Parse(name[..4], CultureInfo.InvariantCulture), name, reader.ReadToEnd()));
        }

        return [.. migrations.OrderBy(m => m.Version)];
    }

    private static async Task<int> CurrentVersionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select coalesce(max(version), 0) from schema_version", connection);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private async Task ApplyAsync(NpgsqlConnection connection, Migration migration, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, migration.Sql, cancellationToken);
        await using var record = new NpgsqlCommand("insert into schema_version values ($1, $2, $3)", connection)
        {
            Parameters = { new() { Value = migration.Version }, new() { Value = migration.Name }, new() { Value = time.GetUtcNow() } },
        };
        await record.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        // Neither an index on a large table nor another scheduler's migration is over in any fixed time.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Applied schema migration {Version} ({Name})")]
    private partial void LogApplied(int version, string name);

    private sealed record Migration(int Version, string Name, string Sql);
}
