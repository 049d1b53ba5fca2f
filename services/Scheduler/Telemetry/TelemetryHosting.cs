using System.Diagnostics;
using System.Reflection;
using Cluster.Contracts;
using Cluster.Contracts.V1;
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
                .AddAspNetCoreInstrumentation(incoming => incoming.Filter = context => !IsRoutine(context.Request))
                .AddHttpClientInstrumentation()
                .AddNpgsql()
                .AddProcessor(new LoneCommands()))
            .WithMetrics(metrics => metrics
                .AddMeter(SchedulerTelemetry.Name, "Microsoft.Orleans", "Polly")
                // What is measured within a traced call names its span: an exemplar, by which a dashboard leads to the trace.
                .SetExemplarFilter(ExemplarFilterType.TraceBased)
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddRuntimeInstrumentation()
                .AddNpgsqlInstrumentation())
            .WithLogging(configureBuilder: null, logs => logs.IncludeFormattedMessage = true)
            .UseOtlpExporter();
        builder.Services.AddHostedService<FirstCounts>();
    }

    /// <summary>
    /// Counts nothing, once, of what should stay nothing: a series that began with its first event would not show that as a rise.
    /// </summary>
    private sealed class FirstCounts : IHostedService
    {
        // After the exporter, which is registered before it: what nobody listens to is not kept.
        public Task StartAsync(CancellationToken cancellationToken)
        {
            var queue = new KeyValuePair<string, object?>("queue", QueueNames.Default);
            SchedulerTelemetry.Preemptions.Add(0, queue);
            SchedulerTelemetry.PreemptionLost.Add(0, queue);
            SchedulerTelemetry.LeasesExtended.Add(0);
            foreach (var result in new[] { "delivered", "failed", "dead", "dropped" })
                SchedulerTelemetry.WebhookDeliveries.Add(0, new KeyValuePair<string, object?>("result", result));
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    /// <summary>
    /// Leaves out the database's commands that are part of nothing: each would be a trace, and a job's would drown among hundreds a minute.
    /// </summary>
    private sealed class LoneCommands : BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            if (data.ParentSpanId == default && data.Source.Name == "Npgsql")
                data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
        }
    }

    /// <summary>What comes each second whether anything happens or not: metrics tell of it, and traces would be of little else.</summary>
    private static bool IsRoutine(HttpRequest request) => request.Path.StartsWithSegments("/healthz", StringComparison.Ordinal)
        || request.Path == $"/{AgentRegistryService.Descriptor.FullName}/{nameof(AgentRegistryService.AgentRegistryServiceBase.Heartbeat)}";
}
