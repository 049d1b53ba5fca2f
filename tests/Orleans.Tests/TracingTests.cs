using System.Collections.Concurrent;
using System.Diagnostics;
using Cluster.Orleans.Tests.Support;
using Orleans.Diagnostics;
using Orleans.Hosting;

namespace Cluster.Orleans.Tests;

public sealed class TracingTests
{
    [Fact]
    public async Task ActivityPropagation_MakesOneTraceOfAChainOfCalls()
    {
        using var recorder = new Recorder();
        await using var silo = await TestSilo.StartAsync(builder => builder.AddActivityPropagation());

        using (var root = recorder.Source.StartActivity("root"))
        {
            await silo.Grains.GetGrain<IChainGrain>("a").FollowAsync(["b"], allow: false);
            Activity.Current.ShouldBeSameAs(root);
        }

        var spans = recorder.Finished("IChainGrain/FollowAsync");
        spans.Select(span => span.Kind).ShouldBe([ActivityKind.Client, ActivityKind.Server, ActivityKind.Client, ActivityKind.Server]);
        foreach (var (parent, child) in spans.Zip(spans.Skip(1)))
            child.ParentSpanId.ShouldBe(parent.SpanId);
        spans[3].GetTagItem("rpc.orleans.target_id").ShouldBe("chain/b");
        spans[3].GetTagItem("rpc.orleans.source_id").ShouldBe("chain/a");
    }

    [Fact]
    public async Task FailedCall_MarksBothSpans()
    {
        using var recorder = new Recorder();
        await using var silo = await TestSilo.StartAsync(null, ("Orleans:EnableDistributedTracing", "true"));

        using (recorder.Source.StartActivity("root"))
            await Should.ThrowAsync<NotSupportedException>(silo.Grains.GetGrain<ICalleeGrain>(1).ThrowAtOnceAsync().AsTask());

        var spans = recorder.Finished("ICalleeGrain/ThrowAtOnceAsync");
        spans.Length.ShouldBe(2);
        spans.ShouldAllBe(span => span.Status == ActivityStatusCode.Error);
        spans.ShouldAllBe(span => Equals(span.GetTagItem("exception.type"), "System.NotSupportedException"));
    }

    [Fact]
    public async Task WithoutActivityPropagation_NoSpanIsMade()
    {
        using var recorder = new Recorder();
        await using var silo = await TestSilo.StartAsync();

        using (recorder.Source.StartActivity("root"))
            await silo.Grains.GetGrain<IChainGrain>("a").FollowAsync(["b"], allow: false);

        recorder.Finished("IChainGrain/FollowAsync").ShouldBeEmpty();
    }

    /// <summary>Listens to this test's trace alone: other tests run at the same time.</summary>
    private sealed class Recorder : IDisposable
    {
        private readonly ConcurrentQueue<Activity> _started = new();
        private readonly ActivityListener _listener;

        public Recorder()
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = source => source == Source || source.Name == ActivitySources.ApplicationGrainActivitySourceName,
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStarted = _started.Enqueue,
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public ActivitySource Source { get; } = new("Cluster.Orleans.Tests");

        public Activity[] Finished(string name)
        {
            var trace = _started.First(span => span.OperationName == "root" && span.Source == Source).TraceId;
            return [.. _started.Where(span => span.TraceId == trace && span.OperationName == name)];
        }

        public void Dispose()
        {
            _listener.Dispose();
            Source.Dispose();
        }
    }
}
