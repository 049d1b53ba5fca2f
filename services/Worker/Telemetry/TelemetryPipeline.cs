using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Cluster.Worker.Telemetry;

/// <summary>Sends a process's traces and metrics over OTLP where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> says so; nowhere otherwise.</summary>
/// <remarks>Endpoint, protocol, headers, sampling and resource attributes are read from OpenTelemetry's own variables.</remarks>
internal sealed class TelemetryPipeline : IDisposable
{
    public const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    // A process that ends must not hang on a collector that is away.
    private const int FlushMilliseconds = 3000;

    private readonly TracerProvider? _tracer;
    private readonly MeterProvider? _meter;

    /// <param name="service">The service's name in traces.</param>
    /// <param name="source">Its source of spans and meter.</param>
    /// <param name="attributes">What tells this process from others of the service.</param>
    public TelemetryPipeline(string service, string source, params KeyValuePair<string, object>[] attributes)
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(EndpointVariable)))
            return;
        var version = typeof(TelemetryPipeline).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        var resource = ResourceBuilder.CreateDefault().AddService(service, serviceVersion: version).AddAttributes(attributes);
        _tracer = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(source).AddOtlpExporter().Build();
        _meter = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource)
            .AddMeter(source, "System.Runtime").AddOtlpExporter().Build();
    }

    /// <summary>Sends what is still here.</summary>
    public void Dispose()
    {
        _tracer?.ForceFlush(FlushMilliseconds);
        _meter?.ForceFlush(FlushMilliseconds);
        _tracer?.Dispose();
        _meter?.Dispose();
    }
}

internal static class TelemetryRegistration
{
    /// <summary>Starts the pipeline with the host, and flushes it with the container's disposal.</summary>
    public static IServiceCollection AddWorkerTelemetry(this IServiceCollection services, string service, string source) => services
        .AddSingleton(_ => new TelemetryPipeline(service, source, new KeyValuePair<string, object>("host.name", Environment.MachineName)))
        .AddHostedService<TelemetryStart>();

    // A singleton is made when it is first asked for; spans before that would be lost.
    private sealed class TelemetryStart(TelemetryPipeline pipeline) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            ArgumentNullException.ThrowIfNull(pipeline);
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
