using System.Reflection;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Cluster.Scheduler.Telemetry;

/// <summary>
/// Sends traces, metrics and logs over OTLP where OTEL_EXPORTER_OTLP_ENDPOINT says; collects nothing where it is not set.
/// </summary>
/// <remarks>The standard OTEL_* variables set protocol, headers, sampling and intervals.</remarks>
public static class TelemetryHosting
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string ServiceName = "cluster-scheduler";

    public static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        if (string.IsNullOrEmpty(builder.Configuration[EndpointVariable]))
            return;
        var version = typeof(TelemetryHosting).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(ServiceName, serviceVersion: version))
            .WithTracing(tracing => tracing
                .AddSource(SchedulerTelemetry.Name, "Microsoft.Orleans.Application")
                .AddAspNetCoreInstrumentation(incoming => incoming.Filter = context => !IsProbe(context.Request))
                .AddHttpClientInstrumentation()
                .AddNpgsql())
            .WithMetrics(metrics => metrics
                .AddMeter(SchedulerTelemetry.Name, "Microsoft.Orleans", "Polly")
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddRuntimeInstrumentation()
                .AddNpgsqlInstrumentation())
            .WithLogging(configureBuilder: null, logs => logs.IncludeFormattedMessage = true)
            .UseOtlpExporter();
    }

    private static bool IsProbe(HttpRequest request) => request.Path.StartsWithSegments("/healthz", StringComparison.Ordinal);
}
