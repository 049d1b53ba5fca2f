using System.Collections.Concurrent;
using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Telemetry;

/// <summary>What the instrumentation makes of calls, as it is set up here. Nobody listens where it is exported to.</summary>
public sealed class CallSpanTests(PostgresServer postgres) : IAsyncLifetime
{
    private readonly ConcurrentQueue<Activity> _ended = new();
    private ActivityListener _listener = null!;
    private TestScheduler _scheduler = null!;

    public async ValueTask InitializeAsync()
    {
        _scheduler = await TestScheduler.StartAsync(postgres, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"));
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _ended.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public async ValueTask DisposeAsync()
    {
        _listener?.Dispose();
        if (_scheduler is not null)
            await _scheduler.DisposeAsync();
    }

    [Fact]
    public async Task Submit_IsASpanOfTheRpcsName_AndTheJobRemembersIt()
    {
        var job = await _scheduler.SubmitWaitingAsync();

        var span = await EndedAsync(span => Equals(span.GetTagItem("cluster.job.id"), job.Id));
        span.DisplayName.ShouldBe("cluster.v1.JobService/SubmitJob");
        span.Kind.ShouldBe(ActivityKind.Server);
        span.GetTagItem("rpc.system.name").ShouldBe("grpc");
        span.GetTagItem("rpc.method").ShouldBe("cluster.v1.JobService/SubmitJob");
        span.GetTagItem("rpc.response.status_code").ShouldBe("OK");
        span.Status.ShouldBe(ActivityStatusCode.Unset);
        (await _scheduler.QueryAsync($"select traceparent from jobs where id = '{job.Id}'")).ShouldBe(span.Id);
    }

    [Fact]
    public async Task Failure_OfTheServer_IsAnErrorSpan_AndAMistakeOfTheCaller_IsNot()
    {
        var unknown = Guid.NewGuid().ToString();
        await Should.ThrowAsync<RpcException>(async () => await _scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = unknown }));
        // Bytes that are no message end as UNKNOWN, which the conventions count as the server's.
        var bytes = Marshallers.Create(message => message, message => message);
        var method = new Method<byte[], byte[]>(MethodType.Unary, "cluster.v1.JobService", "ListJobs", bytes, bytes);
        await Should.ThrowAsync<RpcException>(
            async () => await _scheduler.As(TestScheduler.ViewerToken).AsyncUnaryCall(method, null, new CallOptions(), [0xFF]));

        var refused = await EndedAsync(span => span.DisplayName == "cluster.v1.JobService/GetJob");
        refused.GetTagItem("rpc.response.status_code").ShouldBe("NOT_FOUND");
        refused.Status.ShouldBe(ActivityStatusCode.Unset);
        var failed = await EndedAsync(span => Equals(span.GetTagItem("rpc.response.status_code"), "UNKNOWN"));
        failed.Status.ShouldBe(ActivityStatusCode.Error);
    }

    [Fact]
    public async Task RestCall_IsASpanOfItsRoute_NotOfItsPath()
    {
        using var browser = _scheduler.Browser();
        await browser.GetAsync("/v1/jobs/abcdef", TestContext.Current.CancellationToken);
        await browser.GetAsync("/no/such/page", TestContext.Current.CancellationToken);

        await EndedAsync(span => span.DisplayName == "GET /v1/jobs/{job_id}");
        await EndedAsync(span => span.DisplayName == "GET" && Equals(span.GetTagItem("http.response.status_code"), 404));
    }

    /// <summary>A span ends a moment after its caller has the answer. A listener hears those of other tests' schedulers too.</summary>
    private async Task<Activity> EndedAsync(Func<Activity, bool> condition)
    {
        await Eventually.HoldsAsync(() => _ended.Any(Wanted));
        return _ended.First(Wanted);

        bool Wanted(Activity span) =>
            span.GetTagItem("server.port") is int port && (port == _scheduler.GrpcPort || port == _scheduler.HttpAddress.Port)
            && condition(span);
    }
}
