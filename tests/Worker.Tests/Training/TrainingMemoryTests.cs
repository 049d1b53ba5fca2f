using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training;

/// <summary>Alone: other tests make tensors too, and the count is the process's.</summary>
[Collection(nameof(TrainingMemoryTests))]
[CollectionDefinition(nameof(TrainingMemoryTests), DisableParallelization = true)]
public sealed class TrainingMemoryTests
{
    [Fact]
    public async Task TensorsAlive_StayTheSameOverSteps()
    {
        using var cluster = new InMemoryCluster(worldSize: 1);
        var clock = new CountingClock();

        await TestRuns.RunAsync(cluster, TestRuns.AnAlexNetJob(), time: clock);

        // The loop reads the clock when a step begins, when its optimizer begins and when it ends.
        clock.TensorsAlive.Count.ShouldBeGreaterThan(100);
        // What the first step and the first evaluation make once is left to the collector, which may take it at any time: so falls do not
        // count.
        var settled = clock.TensorsAlive.Skip(10).ToList();
        settled.Zip(settled.Skip(1)).Count(pair => pair.Second > pair.First).ShouldBeLessThanOrEqualTo(1);
    }

    /// <summary>A clock that notes how many tensors there are whenever it is read.</summary>
    private sealed class CountingClock : TimeProvider
    {
        private readonly List<long> _tensorsAlive = [];

        public IReadOnlyList<long> TensorsAlive => _tensorsAlive;

        public override long GetTimestamp()
        {
            _tensorsAlive.Add(Tensor.TotalCount);
            return base.GetTimestamp();
        }
    }
}
