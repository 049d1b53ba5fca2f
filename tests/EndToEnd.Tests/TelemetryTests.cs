using Google.Protobuf;

namespace Cluster.EndToEnd.Tests;

public sealed class TelemetryTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>One trace from the submit to a training step, through all three programs.</summary>
    [Fact]
    public async Task OneTrace_GoesFromSubmitThroughAgentToTrainingStep()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("traced", epochs: 1, trainSamples: 1024), Cancelled);
        await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        var submit = await SpanAsync(span => span.Span.Attributes.Any(attribute => attribute.Value.StringValue == job.Id)
            && span.Service == "cluster-scheduler" && span.Span.Name.Contains("Submit", StringComparison.Ordinal));
        var step = await SpanAsync(
            span => span.Service == "cluster-trainer" && span.Span.Name == "training.step" && SameTrace(span, submit));

        var path = await PathToRootAsync(step);
        path.Select(span => span.Service).Distinct().ShouldBe(["cluster-trainer", "cluster-agent", "cluster-scheduler"]);
        path[^1].Span.TraceId.ShouldBe(submit.Span.TraceId);
        submit.Span.Name.ShouldBe("cluster.v1.JobService/SubmitJob");
        string Attribute(string key) => submit.Span.Attributes.Single(attribute => attribute.Key == key).Value.StringValue;
        (Attribute("rpc.system.name"), Attribute("rpc.method"), Attribute("rpc.response.status_code"))
            .ShouldBe(("grpc", "cluster.v1.JobService/SubmitJob", "OK"));
        // What goes on by itself would hide it.
        cluster.Collector.Spans.Where(span => span.Span.ParentSpanId.IsEmpty
                && (span.Span.Name.EndsWith("/Heartbeat", StringComparison.Ordinal)
                    || span.Span.Attributes.Any(attribute => attribute.Key.StartsWith("db.", StringComparison.Ordinal))))
            .ShouldBeEmpty();
    }

    [Fact]
    public async Task Metrics_ArriveWithTheirUnits()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("measured", epochs: 1, trainSamples: 1024), Cancelled);
        await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        foreach (var (name, unit) in new[]
        {
            ("training.step.duration", "s"), ("training.samples", "{sample}"), ("collective.operation.duration", "s"),
            ("scheduler.queue.wait.duration", "s"), ("scheduler.submits", "{job}"), ("scheduler.launches", "{attempt}"),
            ("scheduler.submit.launch.duration", "s"), ("scheduler.placement.cycle.duration", "s"), ("scheduler.lease.renewals", "{lease}"),
            ("scheduler.lease.renewal.lag", "s"), ("scheduler.nodes", "{node}"), ("scheduler.devices", "{device}"),
            ("db.client.connection.count", "{connection}"),
        })
        {
            await Eventually.BeTrueAsync(() => cluster.Collector.MetricUnits.ContainsKey(name), $"the metric {name} arrives", Cancelled);
            cluster.Collector.MetricUnits[name].ShouldBe(unit);
        }
    }

    [Fact]
    public async Task Logs_ArriveWithTheirProperties()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("logged", epochs: 1, trainSamples: 1024), Cancelled);
        await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        await Eventually.BeTrueAsync(() => cluster.Collector.LoggedJobs.ContainsKey(job.Id), "a line about the job arrives", Cancelled);
    }

    private async Task<List<Telemetry.ReceivedSpan>> PathToRootAsync(Telemetry.ReceivedSpan leaf)
    {
        var path = new List<Telemetry.ReceivedSpan> { leaf };
        while (!path[^1].Span.ParentSpanId.IsEmpty)
        {
            var parent = path[^1].Span.ParentSpanId;
            path.Add(await SpanAsync(span => span.Span.SpanId.Equals(parent)));
        }

        return path;
    }

    private async Task<Telemetry.ReceivedSpan> SpanAsync(Func<Telemetry.ReceivedSpan, bool> wanted)
    {
        await Eventually.BeTrueAsync(() => cluster.Collector.Spans.Any(wanted), "the span arrives", Cancelled);
        return cluster.Collector.Spans.First(wanted);
    }

    private static bool SameTrace(Telemetry.ReceivedSpan one, Telemetry.ReceivedSpan other) =>
        ByteString.Equals(one.Span.TraceId, other.Span.TraceId);
}
