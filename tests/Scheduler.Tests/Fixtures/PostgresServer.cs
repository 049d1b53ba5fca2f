using System.Diagnostics;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

[assembly: AssemblyFixture(typeof(PostgresServer))]

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>
/// A real Postgres of the test run's own: in a temporary folder, on a Unix socket only, gone with this process however it ends.
/// </summary>
public sealed class PostgresServer : IAsyncLifetime
{
    private const string Template = "migrated";
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"cluster-tests-{Guid.NewGuid():N}");
    private Process? _server;
    private int _databases;

    /// <summary>A migrated database that no other test uses.</summary>
    public async Task<string> CreateDatabaseAsync(CancellationToken cancellationToken) =>
        await CreateAsync($" template {Template}", cancellationToken);

    /// <summary>A database without any schema.</summary>
    public async Task<string> CreateEmptyDatabaseAsync(CancellationToken cancellationToken) => await CreateAsync("", cancellationToken);

    public async ValueTask InitializeAsync()
    {
        var bin = Directory.EnumerateDirectories("/usr/lib/postgresql").Select(d => Path.Combine(d, "bin"))
            .LastOrDefault(d => File.Exists(Path.Combine(d, "initdb")))
            ?? throw new InvalidOperationException(
                "Postgres is not installed: no /usr/lib/postgresql/*/bin/initdb; ./cluster setup installs it");
        // initdb refuses root, so as root all of it belongs to user postgres.
        var asPostgres = Environment.UserName == "root" ? new[] { "runuser", "-u", "postgres", "--" } : [];
        await RunAsync(Environment.UserName == "root" ? ["install", "-d", "-o", "postgres", _folder] : ["mkdir", "-p", _folder]);
        await RunAsync([.. asPostgres, Path.Combine(bin, "initdb"), "-D", $"{_folder}/data", "-A", "trust", "-U", "postgres", "--no-sync",
            "-E", "UTF8", "--locale=C"]);
        // When this process ends, however it does, the shell's input closes and it takes the server down.
        string[] server =
        [
            .. asPostgres, "sh", "-c",
            $"'{bin}/postgres' -D '{_folder}/data' -k '{_folder}' -c listen_addresses= -c fsync=off -c full_page_writes=off "
                + "-c max_connections=300 "
            + $">'{_folder}/log' 2>&1 & server=$!; cat; kill -QUIT $server; wait $server; rm -rf '{_folder}'",
        ];
        _server = Process.Start(new ProcessStartInfo(server[0], server[1..])
        {
            RedirectStandardInput = true,
            UseShellExecute = false,
            WorkingDirectory = "/",
        })!;
        await WaitUntilReadyAsync();
        await ExecuteAsync($"create database {Template}", default);
        await using var source = NpgsqlDataSource.Create(ConnectionString(Template) + ";Pooling=false");
        await new Migrator(source, TimeProvider.System, NullLogger<Migrator>.Instance).MigrateAsync(default);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is null)
            return;
        _server.StandardInput.Close();
        await _server.WaitForExitAsync();
        _server.Dispose();
    }

    private async Task<string> CreateAsync(string template, CancellationToken cancellationToken)
    {
        var name = $"test_{Interlocked.Increment(ref _databases)}";
        await ExecuteAsync($"create database {name}{template}", cancellationToken);
        return ConnectionString(name);
    }

    private string ConnectionString(string database) =>
        $"Host={_folder};Username=postgres;Database={database};Connection Idle Lifetime=5;Connection Pruning Interval=2";

    private async Task WaitUntilReadyAsync()
    {
        var deadline = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await ExecuteAsync("select 1", default);
                return;
            }
            catch (NpgsqlException) when (deadline.Elapsed < TimeSpan.FromSeconds(60))
            {
                // Another program's start-up has no event to wait for.
                await Task.Delay(20);
            }
        }
    }

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false");
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task RunAsync(string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = "/",
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{string.Join(' ', command)}: {await output}{await errors}");
    }
}
