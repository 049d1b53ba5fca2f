using System.Collections.Concurrent;
using Cluster.EndToEnd.Tests.Telemetry.Logs;
using Cluster.EndToEnd.Tests.Telemetry.Metrics;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Cluster.EndToEnd.Tests.Telemetry;

/// <summary>An OTLP receiver that keeps what it gets.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly WebApplication _app;

    private Collector(WebApplication app) => _app = app;

    public string Address => _app.Urls.Single();

    public ConcurrentBag<ReceivedSpan> Spans { get; } = [];

    public ConcurrentDictionary<string, string> MetricUnits { get; } = new();

    /// <summary>The last of each metric that each process has sent, also of those that have ended.</summary>
    public ConcurrentDictionary<(Resource Process, string Name), Metric> Metrics { get; } = new();

    /// <summary>Ids of jobs that log lines were about.</summary>
    public ConcurrentDictionary<string, bool> LoggedJobs { get; } = new();

    public static async Task<Collector> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.WebHost.ConfigureKestrel(
            kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        Collector? collector = null;
        builder.Services.AddSingleton(_ => collector!);
        var app = builder.Build();
        collector = new Collector(app);
        app.MapGrpcService<TraceReceiver>();
        app.MapGrpcService<MetricsReceiver>();
        app.MapGrpcService<LogsReceiver>();
        await app.StartAsync(cancellationToken);
        return collector;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private sealed class TraceReceiver(Collector collector) : TraceService.TraceServiceBase
    {
        public override Task<ExportTraceServiceResponse> Export(ExportTraceServiceRequest request, ServerCallContext context)
        {
            foreach (var resource in request.ResourceSpans)
            {
                var service = resource.Resource?.Attributes.FirstOrDefault(attribute => attribute.Key == "service.name")?.Value.StringValue
                    ?? "";
                foreach (var span in resource.ScopeSpans.SelectMany(scope => scope.Spans))
                {
                    collector.Spans.Add(new ReceivedSpan(service, span));
                }
            }

            return Task.FromResult(new ExportTraceServiceResponse());
        }
    }

    private sealed class LogsReceiver(Collector collector) : LogsService.LogsServiceBase
    {
        public override Task<ExportLogsServiceResponse> Export(ExportLogsServiceRequest request, ServerCallContext context)
        {
            var records = request.ResourceLogs.SelectMany(resource => resource.ScopeLogs).SelectMany(scope => scope.LogRecords);
            foreach (var job in records.SelectMany(record => record.Attributes).Where(attribute => attribute.Key == "JobId"))
                collector.LoggedJobs[job.Value.StringValue] = true;

            return Task.FromResult(new ExportLogsServiceResponse());
        }
    }

    private sealed class MetricsReceiver(Collector collector) : MetricsService.MetricsServiceBase
    {
        public override Task<ExportMetricsServiceResponse> Export(ExportMetricsServiceRequest request, ServerCallContext context)
        {
            foreach (var resource in request.ResourceMetrics)
            {
                foreach (var metric in resource.ScopeMetrics.SelectMany(scope => scope.Metrics))
                {
                    collector.MetricUnits[metric.Name] = metric.Unit;
                    collector.Metrics[(resource.Resource, metric.Name)] = metric;
                }
            }

            return Task.FromResult(new ExportMetricsServiceResponse());
        }
    }
}

/// <param name="Service">The resource's service.name.</param>
internal sealed record ReceivedSpan(string Service, Span Span);
