using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Cluster.Scheduler.Telemetry;

/// <summary>Exports traces and metrics over OTLP where OTEL_EXPORTER_OTLP_ENDPOINT says; collects nothing where it is not set.</summary>
/// <remarks>The standard OTEL_* variables set protocol, headers and intervals.</remarks>
public sealed class TelemetryExport : IHostedService, IDisposable
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private readonly TracerProvider? traces;
    private readonly MeterProvider? metrics;

    public TelemetryExport()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(EndpointVariable)))
            return;
        var resource = ResourceBuilder.CreateDefault()
            .AddService("cluster-scheduler", serviceVersion: typeof(TelemetryExport).Assembly.GetName().Version?.ToString());
        traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .AddSource(SchedulerTelemetry.Name, "Microsoft.AspNetCore", "Microsoft.Orleans.Application", "System.Net.Http", "Npgsql")
            .AddOtlpExporter()
            .Build();
        metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource)
            .AddMeter(
                SchedulerTelemetry.Name, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "Microsoft.Orleans",
                "System.Net.Http", "System.Runtime", "Npgsql")
            .AddOtlpExporter()
            .Build();
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Sends what is still held back, so that a stopped scheduler's last spans are not lost.</summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        traces?.ForceFlush(2000);
        metrics?.ForceFlush(2000);
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        traces?.Dispose();
        metrics?.Dispose();
    }
}
