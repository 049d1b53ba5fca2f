using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace Cluster.Scheduler.Hosting;

/// <summary>/healthz/live says that the process answers, and touches nothing else; /healthz/ready that Postgres answers too.</summary>
public static class Probes
{
    public static IServiceCollection AddProbes(this IServiceCollection services)
    {
        services.AddSingleton<DatabaseCheck>();
        services.AddHealthChecks().AddCheck<DatabaseCheck>("postgres");
        return services;
    }

    public static void MapProbes(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapHealthChecks("/healthz/live", new HealthCheckOptions { Predicate = _ => false });
        endpoints.MapHealthChecks("/healthz/ready");
    }

    /// <summary>Anybody may ask, also over gRPC, and as often as they can: Postgres is asked once a second for all of them.</summary>
    private sealed class DatabaseCheck(NpgsqlDataSource database, TimeProvider time) : IHealthCheck, IDisposable
    {
        private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

        private readonly SemaphoreSlim _asking = new(1);
        private HealthCheckResult _answer;
        private long? _answeredAt;

        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            await _asking.WaitAsync(cancellationToken);
            try
            {
                if (_answeredAt is { } before && time.GetElapsedTime(before) < Pause)
                    return _answer;
                _answer = await AskAsync(cancellationToken);
                _answeredAt = time.GetTimestamp();
                return _answer;
            }
            finally
            {
                _asking.Release();
            }
        }

        public void Dispose() => _asking.Dispose();

        private async Task<HealthCheckResult> AskAsync(CancellationToken cancellationToken)
        {
            try
            {
                await using var command = database.CreateCommand("select 1");
                await command.ExecuteScalarAsync(cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (NpgsqlException fault)
            {
                return HealthCheckResult.Unhealthy("Postgres does not answer", fault);
            }
        }
    }
}
