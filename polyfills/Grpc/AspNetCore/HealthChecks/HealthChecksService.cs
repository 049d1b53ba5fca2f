using Grpc.Core;
using Grpc.Health.V1;
using Grpc.HealthCheck;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>
/// <c>grpc.health.v1.Health</c> over ASP.NET Core's health checks: a check, and a watch's first answer, run them;
/// a watch's later answers come with each published report.
/// </summary>
internal sealed class HealthChecksService(
    HealthServiceImpl published, HealthCheckService checks, IOptions<GrpcHealthChecksOptions> options, IHostApplicationLifetime lifetime)
    : Health.V1.Health.HealthBase
{
    public override async Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        if (options.Value.UseHealthChecksCache)
            return await published.Check(request, context);
        return await RunAsync(request.Service, context.CancellationToken) is { } status
            ? new HealthCheckResponse { Status = status }
            : throw new RpcException(new Status(StatusCode.NotFound, ""));
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        var stopping = options.Value.SuppressCompletionOnShutdown ? CancellationToken.None : lifetime.ApplicationStopping;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        var first = !options.Value.UseHealthChecksCache;
        await foreach (var status in published.WatchAsync(request.Service, end.Token))
        {
            var answer = first ? await RunAsync(request.Service, end.Token) ?? ServingStatus.ServiceUnknown : status;
            first = false;
            await responseStream.WriteAsync(new HealthCheckResponse { Status = answer });
        }
        if (stopping.IsCancellationRequested && !context.CancellationToken.IsCancellationRequested)
            await responseStream.WriteAsync(new HealthCheckResponse { Status = ServingStatus.NotServing });
    }

    /// <summary>Null for a service that is not mapped.</summary>
    private async Task<ServingStatus?> RunAsync(string service, CancellationToken cancellationToken)
    {
        if (options.Value.Services.Find(service) is not { } mapping)
            return null;
        var report = await checks.CheckHealthAsync(check => mapping.Includes(check.Name, check.Tags), cancellationToken);
        return report.Entries.Values.ToServingStatus();
    }
}

/// <summary>Passes each report that ASP.NET Core publishes on to the watchers.</summary>
internal sealed class GrpcHealthChecksPublisher(HealthServiceImpl published, IOptions<GrpcHealthChecksOptions> options) : IHealthCheckPublisher
{
    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        foreach (var mapping in options.Value.Services)
        {
            var entries = report.Entries.Where(entry => mapping.Includes(entry.Key, entry.Value.Tags)).Select(entry => entry.Value);
            published.SetStatus(mapping.Name, entries.ToServingStatus());
        }
        return Task.CompletedTask;
    }
}

internal static class ServingStatusMapping
{
    /// <summary>Degraded still serves; no checks at all is Unknown.</summary>
    public static ServingStatus ToServingStatus(this IEnumerable<HealthReportEntry> entries)
    {
        var states = entries.Select(entry => entry.Status).ToList();
        return states.Count == 0 ? ServingStatus.Unknown
            : states.Contains(HealthStatus.Unhealthy) ? ServingStatus.NotServing
            : ServingStatus.Serving;
    }
}
