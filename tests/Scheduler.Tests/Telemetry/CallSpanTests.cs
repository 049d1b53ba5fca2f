using System.Collections.Concurrent;
using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Telemetry;

[Collection(typeof(ApiTests))]
public sealed class CallSpanTests : IDisposable
{
    private readonly ConcurrentQueue<Activity> _ended = new();
    private readonly ActivityListener _listener;
    private readonly TestScheduler _scheduler;

    public CallSpanTests(SharedScheduler shared)
    {
        _scheduler = shared.Scheduler;
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _ended.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public void Dispose() => _listener.Dispose();

    [Fact]
    public async Task Submit_IsASpanOfTheRpcsName_AndTheJobRemembersIt()
    {
        var job = await _scheduler.SubmitWaitingAsync();

        var span = await EndedAsync(span => Equals(span.GetTagItem("cluster.job.id"), job.Id));
        span.DisplayName.ShouldBe("cluster.v1.JobService/SubmitJob");
        span.Kind.ShouldBe(ActivityKind.Server);
        span.GetTagItem("rpc.system").ShouldBe("grpc");
        span.GetTagItem("rpc.service").ShouldBe("cluster.v1.JobService");
        span.GetTagItem("rpc.method").ShouldBe("SubmitJob");
        span.GetTagItem("rpc.grpc.status_code").ShouldBe(0);
        span.Status.ShouldBe(ActivityStatusCode.Unset);
        (await _scheduler.QueryAsync($"select traceparent from jobs where id = '{job.Id}'")).ShouldBe(span.Id);
    }

    [Fact]
    public async Task Failure_OfTheServer_IsAnErrorSpan_AndAMistakeOfTheCaller_IsNot()
    {
        var unknown = Guid.NewGuid().ToString();
        await Should.ThrowAsync<RpcException>(async () => await _scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = unknown }));
        await Should.ThrowAsync<RpcException>(async () => await new AgentService.AgentServiceClient(_scheduler.As(TestScheduler.NodeToken)).LaunchAsync(new LaunchRequest()));

        var refused = await EndedAsync(span => span.DisplayName == "cluster.v1.JobService/GetJob");
        refused.GetTagItem("rpc.grpc.status_code").ShouldBe((int)StatusCode.NotFound);
        refused.Status.ShouldBe(ActivityStatusCode.Unset);
        var failed = await EndedAsync(span => Equals(span.GetTagItem("rpc.service"), "cluster.v1.AgentService"));
        failed.GetTagItem("rpc.grpc.status_code").ShouldBe((int)StatusCode.Unimplemented);
        failed.Status.ShouldBe(ActivityStatusCode.Error);
    }

    [Fact]
    public async Task Page_IsASpanOfItsRoute_NotOfItsPath()
    {
        using var browser = _scheduler.Browser();
        await browser.GetAsync("/api/jobs/abcdef/stream", TestContext.Current.CancellationToken);
        await browser.GetAsync("/no/such/page", TestContext.Current.CancellationToken);

        await EndedAsync(span => span.DisplayName == "GET /api/jobs/{job}/stream");
        await EndedAsync(span => span.DisplayName == "GET" && Equals(span.GetTagItem("http.response.status_code"), 404));
    }

    /// <summary>A span ends a moment after its caller has the answer.</summary>
    private async Task<Activity> EndedAsync(Func<Activity, bool> condition)
    {
        await Eventually.HoldsAsync(() => _ended.Any(condition));
        return _ended.First(condition);
    }
}
