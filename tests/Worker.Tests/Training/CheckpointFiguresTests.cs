using System.Collections.Concurrent;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Tests.Training;

/// <summary>
/// A trainer may end the moment after a checkpoint, and an attempt that goes on from it does not make the steps before it again.
/// </summary>
public sealed class CheckpointFiguresTests
{
    private const int Interval = 4;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Checkpoint_IsCommitted_OnlyWhenTheAgentHasTheFiguresOfAllItsSteps(int ranks)
    {
        using var cluster = new InMemoryCluster(ranks);
        var unknown = new ConcurrentQueue<string>();
        var committed = new ConcurrentQueue<long>();
        cluster.OnCommit = step =>
        {
            committed.Enqueue(step);
            var known = cluster.Series(MetricNames.TrainLoss);
            for (var made = 1L; made <= step; made++)
            {
                if (!known.ContainsKey(made))
                    unknown.Enqueue($"step {made} at the checkpoint of step {step}");
            }

            return Task.CompletedTask;
        };
        var job = TestRuns.AJob(spec => spec.Checkpoints = new CheckpointPolicy { EverySteps = Interval, EveryEpochs = 1 });

        await TestRuns.RunAsync(cluster, job, ranks, time: new TimeWithoutTimers());

        committed.ShouldNotBeEmpty();
        unknown.ShouldBeEmpty();
    }

    /// <summary>By it nothing is ever sent just since some time has passed.</summary>
    private sealed class TimeWithoutTimers : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }
}
