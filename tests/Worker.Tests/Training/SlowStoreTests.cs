using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Training;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Cluster.Worker.Tests.Training;

/// <summary>A store that is slow or away neither stalls training nor ends it, and changes nothing in what is trained.</summary>
public sealed class SlowStoreTests
{
    private const int Steps = 40;
    private const int Interval = 2;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Run_WithAStoreTenTimesSlowerThanTheInterval_SkipsWhatIsDueMeanwhile_OnAllRanksAlike(int ranks)
    {
        using var undisturbed = new InMemoryCluster(ranks);
        var reads = new StepClock();
        await TestRuns.RunAsync(undisturbed, AJob(), ranks, time: reads);
        using var cluster = new InMemoryCluster(ranks);
        var clock = new StepClock(readsPerStep: (double)reads.Reads / Steps);
        var log = new RecordedLog();
        cluster.OnCommit = step => clock.ReachesAsync(Math.Min(step + (10 * Interval), Steps));

        var outcomes = await TestRuns.RunAsync(cluster, AJob(), ranks, time: clock, logs: log);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        cluster.Series(MetricNames.TrainLoss).ShouldBe(undisturbed.Series(MetricNames.TrainLoss));
        cluster.CheckpointIds.Keys.ShouldContain(Steps);
        // Of each that is stored, and of none that is skipped, people see how long training stood still for it.
        var stops = cluster.Series(MetricNames.StepCheckpointSeconds);
        stops.Keys.ShouldBe(cluster.CheckpointIds.Keys.Order());
        stops.Values.ShouldAllBe(seconds => seconds > 0);
        cluster.CheckpointIds.Count.ShouldBeInRange(2, Steps / (10 * Interval) + 1);
        log.Lines.Count(line => line.Contains("is skipped", StringComparison.Ordinal))
            .ShouldBe(ranks * ((Steps / Interval) - cluster.CheckpointIds.Count));
    }

    [Fact]
    public async Task Run_WithAStoreThatIsAwayUntilTheLastStep_TrainsToItsEnd_AndStoresThat()
    {
        using var cluster = new InMemoryCluster(worldSize: 2);
        var log = new RecordedLog();
        cluster.OnCommit = step => step < Steps
            ? Task.FromException(new RpcException(new Status(StatusCode.Unavailable, "away for longer than the agent waits")))
            : Task.CompletedTask;

        var outcomes = await TestRuns.RunAsync(cluster, AJob(), worldSize: 2, logs: log);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        cluster.CheckpointIds.Keys.ShouldBe([Steps]);
        log.Lines.ShouldContain(line => line.Contains("could not be stored; training goes on", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_WhoseLastCheckpointIsNotStored_Fails()
    {
        using var cluster = new InMemoryCluster(worldSize: 1);
        cluster.OnCommit = _ => Task.FromException(new RpcException(new Status(StatusCode.Unavailable, "away")));

        await Should.ThrowAsync<RpcException>(() => TestRuns.RunAsync(cluster, AJob()));
    }

    private static JobSpec AJob() =>
        TestRuns.AJob(spec => spec.Checkpoints = new CheckpointPolicy { EverySteps = Interval, EveryEpochs = 1 });

    /// <summary>Knows by how often it is read how many steps have been done.</summary>
    private sealed class StepClock(double readsPerStep = 1) : TimeProvider
    {
        private readonly List<(long Step, TaskCompletionSource Reached)> _waiting = [];

        public long Reads { get; private set; }

        private double StepsDone => Reads / readsPerStep;

        public Task ReachesAsync(long step)
        {
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_waiting)
            {
                if (StepsDone >= step)
                    return Task.CompletedTask;
                _waiting.Add((step, reached));
            }

            return reached.Task;
        }

        public override long GetTimestamp()
        {
            lock (_waiting)
            {
                Reads++;
                foreach (var (_, reached) in _waiting.Where(waiting => waiting.Step <= StepsDone))
                    reached.TrySetResult();
            }

            return base.GetTimestamp();
        }
    }

    private sealed class RecordedLog : ILoggerFactory, ILogger
    {
        private readonly List<string> _lines = [];

        public IReadOnlyList<string> Lines
        {
            get
            {
                lock (_lines)
                    return [.. _lines];
            }
        }

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_lines)
                _lines.Add(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
