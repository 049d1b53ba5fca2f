using System.Collections.Concurrent;
using Cluster.Worker.Collectives;
using Microsoft.Extensions.Logging;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>What a rank writes to its log when its group fails.</summary>
public sealed class FlightRecorderTests
{
    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void AFault_WritesTheLastOperationsOnce(string placement)
    {
        var log = new Lines();
        using var ranks = new Ranks(placement) { Logger = log };
        ranks.RunToFailure(group =>
        {
            for (var i = 0; i < 300; i++)
                group.Barrier($"step/{i}");
            if (group.Rank == 0)
                group.Send<float>(new float[3], 1, "activation");
            else
                group.Receive<float>(new float[3], 0, "activation");
            group.AllReduce<float>(new float[5], "gradients/7");
            if (group.Rank == 1)
                return;
            Should.Throw<CollectiveException>(() => group.AllReduce<float>(new float[6], "gradients/8"));
            group.Barrier("once more");
        });
        var text = log.Written.ShouldHaveSingleItem();
        text.ShouldContain("Collectives of rank 0 failed: rank 1 ");
        text.ShouldContain("300 'step/299' a barrier of 0 bytes done after ");
        text.ShouldContain("1 'activation' a send of 12 bytes, with rank 1 done after ");
        text.ShouldContain("301 'gradients/7' an all-reduce of 20 bytes (sum of float32) done after ");
        text.ShouldContain("302 'gradients/8' an all-reduce of 24 bytes (sum of float32) failed after ");
        text.ShouldNotContain("'step/0'"); // further back than it remembers
    }

    private sealed class Lines : ILogger
    {
        public ConcurrentQueue<string> Written { get; } = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Enqueue(formatter(state, exception));
    }
}
