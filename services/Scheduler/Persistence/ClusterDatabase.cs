using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;
using Polly;
using Polly.Registry;
using Polly.Retry;
using Polly.Telemetry;

namespace Cluster.Scheduler.Persistence;

/// <summary>Connections of one pool and contexts on them, under the one bounded retry for faults that pass.</summary>
/// <remarks>
/// Work given to it may run again from its start, also when only the answer to its commit was lost. So it is written to
/// be repeatable: guarded by a version, a unique key, or idempotent by itself.
/// </remarks>
public sealed class ClusterDatabase(
    NpgsqlDataSource source, IDbContextFactory<ClusterDbContext> contexts, ResiliencePipelineProvider<string> pipelines)
{
    private const string RetryName = "store";

    private readonly ResiliencePipeline _retry = pipelines.GetPipeline(RetryName);

    /// <summary>Registers the retry; its metrics are Polly's, under this pipeline's name.</summary>
    public static void AddRetry(IServiceCollection services) => services.AddResiliencePipeline(RetryName, (pipeline, context) =>
    {
        // What the store gives may be a secret, such as what webhooks are signed with; Polly's log at Debug would have it.
        pipeline.ConfigureTelemetry(new TelemetryOptions
        {
            LoggerFactory = context.ServiceProvider.GetRequiredService<ILoggerFactory>(),
            ResultFormatter = (_, result) => result?.GetType().Name,
        });
        var options = context.ServiceProvider.GetRequiredService<IOptions<PersistenceOptions>>().Value;
        pipeline.TimeProvider = context.ServiceProvider.GetRequiredService<TimeProvider>();
        // Polly takes no zero.
        if (options.Retries == 0)
            return;
        pipeline.AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<Exception>(Passes),
            MaxRetryAttempts = options.Retries,
            BackoffType = DelayBackoffType.Exponential,
            Delay = options.RetryDelay,
            UseJitter = true,
        });
    });

    /// <summary>Runs SQL on a connection of its own, each statement its own transaction.</summary>
    /// <exception cref="StoreUnavailableException">The database did not answer.</exception>
    public Task<T> RunAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken cancellationToken) =>
        RetryAsync(async token =>
        {
            await using var connection = await source.OpenConnectionAsync(token);
            return await work(connection, token);
        }, cancellationToken);

    /// <summary>Runs SQL in one transaction, committed when <paramref name="work"/> ends and rolled back when it throws.</summary>
    /// <inheritdoc cref="RunAsync{T}"/>
    public Task<T> TransactAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken cancellationToken) =>
        RunAsync(async (connection, token) =>
        {
            await using var transaction = await connection.BeginTransactionAsync(token);
            var result = await work(connection, token);
            await transaction.CommitAsync(token);
            return result;
        }, cancellationToken);

    /// <summary>Works with entities; <c>SaveChanges</c> is one transaction.</summary>
    /// <inheritdoc cref="RunAsync{T}"/>
    public Task<T> WithEntitiesAsync<T>(Func<ClusterDbContext, CancellationToken, Task<T>> work, CancellationToken cancellationToken) =>
        RetryAsync(async token =>
        {
            await using var context = await contexts.CreateDbContextAsync(token);
            return await work(context, token);
        }, cancellationToken);

    private async Task<T> RetryAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            return await _retry.ExecuteAsync(async token => await work(token), cancellationToken);
        }
        catch (Exception fault) when (Passes(fault))
        {
            throw new StoreUnavailableException($"Postgres is not available: {Innermost(fault).Message}", fault);
        }
    }

    /// <summary>EF wraps what Npgsql throws, so the whole chain counts.</summary>
    private static bool Passes(Exception fault)
    {
        for (var inner = fault; inner is not null; inner = inner.InnerException)
        {
            if (inner is NpgsqlException { IsTransient: true } or PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected })
                return true;
        }

        return false;
    }

    private static Exception Innermost(Exception fault) => fault.GetBaseException();
}
