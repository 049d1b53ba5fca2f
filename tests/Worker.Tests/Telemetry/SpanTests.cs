using System.Collections.Concurrent;
using System.Diagnostics;
using Cluster.Worker.Telemetry;
using Cluster.Worker.Tests.Agent;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Telemetry;

public sealed class SpanTests : AgentTest
{
    [Fact]
    public async Task Spans_OfAgentAndTrainer_DescendFromTheAttempts()
    {
        using var spans = new Spans();
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        var attempt = ActivityTraceId.CreateRandom();
        launch.Traceparent = $"00-{attempt}-{ActivitySpanId.CreateRandom()}-01";
        await agent.LaunchAsync(launch, End);
        var launched = spans.Of(attempt, "agent.launch");
        var orders = agent.OrdersOf(launch);
        orders.Traceparent = launched.Id!;
        Activity? inSession = null;

        await using var host = new TrainerHost(
            orders, new Session(() => inSession = Activity.Current), NullLoggerFactory.Instance, TimeProvider.System);
        await host.RunAsync(Task.Delay(Timeout.Infinite, End));

        launched.ParentId.ShouldBe(launch.Traceparent);
        launched.GetTagItem("cluster.job.id").ShouldBe(launch.JobId);
        var trained = spans.Of(attempt, "trainer.run");
        trained.ParentSpanId.ShouldBe(launched.SpanId);
        inSession.ShouldBeSameAs(trained);
    }

    private sealed class Spans : IDisposable
    {
        private readonly ConcurrentQueue<Activity> _ended = new();
        private readonly ActivityListener _listener;

        public Spans()
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = source => source.Name is WorkerTelemetry.AgentName or WorkerTelemetry.TrainerName,
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = _ended.Enqueue,
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public Activity Of(ActivityTraceId trace, string name) =>
            _ended.Single(span => span.TraceId == trace && span.OperationName == name);

        public void Dispose() => _listener.Dispose();
    }

    private sealed class Session(Action run) : ITrainingSession
    {
        public TrainerOutcome Run(TrainerContext context, CancellationToken cancellationToken)
        {
            run();
            return TrainerOutcome.Done;
        }
    }
}
