using System.Reflection;
using Cluster.Contracts.Tls;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Hosting;

/// <summary>Says in one line of the log what has started, where it listens and where it keeps its data.</summary>
public sealed partial class StartLine(
    IHostApplicationLifetime lifetime, IOptions<SchedulerOptions> listening, IOptions<TlsOptions> tls,
    IOptions<PersistenceOptions> persistence, ILogger<StartLine> logger)
    : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        lifetime.ApplicationStarted.Register(Say);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private void Say()
    {
        var version = typeof(StartLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        var (address, ports) = (listening.Value.ListenAddress, listening.Value);
        var host = address.Contains(':', StringComparison.Ordinal) ? $"[{address}]" : address;
        var database = new NpgsqlConnectionStringBuilder(persistence.Value.ConnectionString);
        var origin = $"{(tls.Value.IsOn ? Uri.UriSchemeHttps : Uri.UriSchemeHttp)}://{host}";
        LogStarted(version, $"{origin}:{ports.GrpcPort}", $"{origin}:{ports.HttpPort}", database.Database, database.Host);
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Scheduler {Version} started: gRPC on {GrpcAddress}, REST on {RestAddress}, "
            + "database {Database} at {DatabaseHost}")]
    private partial void LogStarted(string? version, string grpcAddress, string restAddress, string? database, string? databaseHost);
}
