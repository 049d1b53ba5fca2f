using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Persistence;

/// <summary>Sees to it that a database has one scheduler, where its grains live in one process: two would each run every grain.</summary>
/// <remarks>
/// A session advisory lock on a connection of its own, outside the pool, held until the process ends. Should that connection break, the
/// lock is gone and another scheduler may have it: then this one stops.
/// </remarks>
public sealed partial class SchedulerLock(
    IOptions<PersistenceOptions> options, IHostApplicationLifetime lifetime, ILogger<SchedulerLock> logger) : BackgroundService
{
    private NpgsqlConnection? _connection;

    /// <exception cref="InvalidOperationException">Another scheduler holds the lock.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.SingleScheduler)
            _connection = await AcquireAsync(options.Value, cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Frees the lock at once, so that a successor need not wait for the server to notice.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (_connection is not null)
            await _connection.DisposeAsync();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_connection is null)
            return;
        try
        {
            // Returns only when the server says something or the connection ends.
            while (true)
                await _connection.WaitAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
        catch (NpgsqlException fault)
        {
            LogLost(fault);
            lifetime.StopApplication();
        }
    }

    private static async Task<NpgsqlConnection> AcquireAsync(PersistenceOptions options, CancellationToken cancellationToken)
    {
        var settings = new NpgsqlConnectionStringBuilder(options.ConnectionString)
        {
            Pooling = false,
            // A dead server must be noticed though nothing is ever asked on this connection.
            KeepAlive = 10,
            ApplicationName = "cluster-scheduler-lock",
        };
        var connection = new NpgsqlConnection(settings.ConnectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
            // The server does the waiting; to it, 0 would mean for ever.
            await using var command = new NpgsqlCommand(
                $"set lock_timeout = {Math.Max(1, (int)options.PredecessorWait.TotalMilliseconds)}; select pg_advisory_lock({AdvisoryLocks.SingleScheduler})", connection)
            {
                CommandTimeout = 0,
            };
            await command.ExecuteNonQueryAsync(cancellationToken);
            return connection;
        }
        catch (PostgresException held) when (held.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            await connection.DisposeAsync();
            throw new InvalidOperationException(
                $"another scheduler runs on database '{settings.Database}' at '{settings.Host}'; stop it first, or cluster several with "
                + $"Orleans and set {PersistenceOptions.SectionName}:{nameof(PersistenceOptions.SingleScheduler)} to false", held);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "Lost the connection that makes this the only scheduler; stopping, since another may have started")]
    private partial void LogLost(Exception fault);
}
