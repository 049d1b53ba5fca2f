using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Cluster.Worker.Telemetry;

/// <summary>Sends traces, metrics and the agent's logs over OTLP where OTEL_EXPORTER_OTLP_ENDPOINT says; nothing otherwise.</summary>
/// <remarks>The standard OTEL_* variables set protocol, headers, sampling and intervals. A trainer's logs go to its job instead.</remarks>
internal static class TelemetryExport
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static bool IsOn => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(EndpointVariable));

    /// <summary>
    /// The agent's. Its calls are told by the spans of what it does, and not one by one: most are a trainer's that it relays.
    /// </summary>
    public static void AddAgentTelemetry(this IServiceCollection services)
    {
        if (!IsOn)
            return;
        services.AddOpenTelemetry()
            .ConfigureResource(
                resource => Describe(resource, "cluster-agent", new KeyValuePair<string, object>("host.name", Environment.MachineName)))
            .WithTracing(tracing => tracing.AddSource(WorkerTelemetry.AgentName))
            .WithMetrics(metrics => metrics.AddMeter(WorkerTelemetry.AgentName).AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation().AddRuntimeInstrumentation().SetExemplarFilter(ExemplarFilterType.TraceBased))
            .WithLogging(configureBuilder: null, logs => logs.IncludeFormattedMessage = true)
            .UseOtlpExporter();
    }

    /// <summary>A trainer's, which has no host.</summary>
    /// <param name="attributes">What tells this rank from others.</param>
    /// <returns>What sends all that is still here when it is disposed of.</returns>
    public static IDisposable? StartForTrainer(params KeyValuePair<string, object>[] attributes) => !IsOn
        ? null
        : OpenTelemetrySdk.Create(telemetry => telemetry
            .ConfigureResource(resource => Describe(resource, "cluster-trainer", attributes))
            .WithTracing(tracing => tracing.AddSource(WorkerTelemetry.TrainerName))
            .WithMetrics(metrics => metrics.AddMeter(WorkerTelemetry.TrainerName).AddRuntimeInstrumentation()
                // A step's time names the step's span: an exemplar, by which a dashboard leads to the trace.
                .SetExemplarFilter(ExemplarFilterType.TraceBased))
            .UseOtlpExporter());

    private static void Describe(ResourceBuilder resource, string service, params KeyValuePair<string, object>[] attributes)
    {
        var version = typeof(TelemetryExport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        resource.AddService(service, serviceVersion: version).AddAttributes(attributes);
    }
}
