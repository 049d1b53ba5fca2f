using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Training;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Worker.Tests.Training;

/// <summary>Steps that take far longer than those before them.</summary>
public sealed class StepWatchTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0.01, 10)]
    [InlineData(4, 20)]
    public async Task Step_ThatTakesTenSecondsAndFiveTimesTheMedian_IsToldOf_AndThatItGoesOn(double usual, int patience)
    {
        using var cluster = new InMemoryCluster(1);
        var time = new FakeTimeProvider();
        await using var reporter = new TrainerReporter(cluster.Link(0), time);
        using var watch = new StepWatch(new OperationBoard(), reporter, time);
        for (var step = 0; step < 5; step++)
            Take(watch, time, step, TimeSpan.FromSeconds(usual));

        watch.Begin(5);
        Pass(time, patience - 1);
        await reporter.FlushAsync(Cancelled);
        Stalls(cluster).ShouldBeEmpty();
        Pass(time, 2);
        await reporter.FlushAsync(Cancelled);
        Stalls(cluster).ShouldHaveSingleItem().ShouldBe(new StepStall { Step = 6 });
        watch.End();
        await reporter.FlushAsync(Cancelled);

        Stalls(cluster).Skip(1).ShouldHaveSingleItem().ShouldBe(new StepStall());
    }

    /// <summary>As long as it hangs, since a scheduler forgets with its process.</summary>
    [Fact]
    public async Task Step_ThatHangs_IsToldOfAgain_WithWhatTheRankIsAt()
    {
        using var cluster = new InMemoryCluster(1);
        var (time, board) = (new FakeTimeProvider(), new OperationBoard());
        await using var reporter = new TrainerReporter(cluster.Link(0), time);
        using var watch = new StepWatch(board, reporter, time);
        Take(watch, time, 0, Second);
        watch.Begin(1);
        var operation = new Operation(OperationKind.AllReduce, "gradients/3", 40, GroupMembers.All(2, 0), Second);
        var (all, message) = (board.Begin(operation, null), board.Begin(operation, 1));
        Pass(time, 11);
        await reporter.FlushAsync(Cancelled);
        board.End(all);
        Pass(time, 1);
        await reporter.FlushAsync(Cancelled);
        Pass(time, 11);
        await reporter.FlushAsync(Cancelled);
        board.End(message);

        Stalls(cluster).Select(stall => (stall.Step, stall.Operation)).ShouldBe(
        [
            (2, "an all-reduce of 40 bytes 'gradients/3'"), (2, "an all-reduce of 40 bytes 'gradients/3' with rank 1"),
            (2, "an all-reduce of 40 bytes 'gradients/3' with rank 1"),
        ]);
        board.Oldest().ShouldBeNull();
    }

    [Fact]
    public async Task FirstStep_MayTakeAsLongAsItLikes()
    {
        using var cluster = new InMemoryCluster(1);
        var time = new FakeTimeProvider();
        await using var reporter = new TrainerReporter(cluster.Link(0), time);
        using var watch = new StepWatch(new OperationBoard(), reporter, time);

        watch.Begin(0);
        Pass(time, 600);
        await reporter.FlushAsync(Cancelled);

        Stalls(cluster).ShouldBeEmpty();
    }

    private static IEnumerable<StepStall> Stalls(InMemoryCluster cluster) =>
        cluster.Reports.Select(reported => reported.Report.Stall).OfType<StepStall>();

    private static void Take(StepWatch watch, FakeTimeProvider time, long step, TimeSpan length)
    {
        watch.Begin(step);
        time.Advance(length);
        watch.End();
    }

    private static void Pass(FakeTimeProvider time, int seconds)
    {
        for (var i = 0; i < seconds; i++)
            time.Advance(Second);
    }
}
