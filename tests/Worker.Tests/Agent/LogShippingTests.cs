using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

public sealed class LogShippingTests : AgentTest
{
    // Of ten characters each.
    private const int HundredLines = 100 * (10 + 56);

    [Fact]
    public async Task Output_ArrivesInOrderByStreamNumberedWithoutHoles()
    {
        const int lines = 3000;
        await using var agent = await StartAsync(
            Scheduler, $"head -c 1 >/dev/null; for i in $(seq {lines}); do echo out $i; done; echo to stderr >&2; printf 'no line end'",
            End);
        await agent.LaunchAsync(ALaunch(), End);
        await Scheduler.Exits.Reader.ReadAsync(End);
        var arrived = Scheduler.LogBatches.SelectMany(batch => batch.Lines).ToList();

        arrived.Where(line => line.Stream == LogStream.Stdout).Select(line => line.Text)
            .ShouldBe(Enumerable.Range(1, lines).Select(i => $"out {i}").Append("no line end"));
        arrived.Where(line => line.Stream == LogStream.Stderr).Select(line => line.Text).ShouldBe(["to stderr"]);
        arrived[^1].Stream.ShouldBe(LogStream.Agent);
        arrived.ShouldAllBe(line => line.Attempt == 1 && line.Rank == 0 && line.Time != null);
        var expected = 1L;
        foreach (var batch in Scheduler.LogBatches)
        {
            batch.AgentSequence.ShouldBe(expected);
            expected += batch.Lines.Count;
        }
    }

    [Fact]
    public async Task Output_OfAnOutage_ArrivesWhenTheSchedulerIsBackAndSoDoesTheExit()
    {
        await using var agent = await StartAsync(
            Scheduler, "head -c 1 >/dev/null; echo before; read -r _ </dev/null; echo after; exit 3", End);
        await Scheduler.GoAwayAsync();
        // The order cannot come over the wire of a scheduler that is away, but the agent listens still.
        await agent.LaunchAsync(ALaunch(), End);
        await Scheduler.ComeBackAsync(End);
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        exit.ExitCode.ShouldBe(3);
        Scheduler.LogBatches.SelectMany(batch => batch.Lines).Where(line => line.Stream == LogStream.Stdout).Select(line => line.Text)
            .ShouldBe(["before", "after"]);
    }

    [Fact]
    public async Task Spool_BeyondItsLimit_KeepsTheNewestAndSaysHowManyWentAndWhy()
    {
        var spool = new LogSpool(HundredLines, TimeProvider.System);
        for (var i = 0; i < 250; i++)
            spool.Add(rank: 2, LogStream.Stdout, $"{i,10}");
        var batch = await spool.NextBatchAsync(() => new AppendLogsRequest { Attempt = 5 }, End);

        batch.Lines[0].Text.ShouldBe(
            "150 lines dropped here: they were written faster than the scheduler takes them, "
            + $"and the agent keeps {HundredLines} bytes (Agent:LogSpoolBytes)");
        (batch.Lines[0].Stream, batch.Lines[0].Rank, batch.Lines[0].Attempt).ShouldBe((LogStream.Agent, 2, 5));
        batch.Lines.Skip(1).Select(line => int.Parse(line.Text, System.Globalization.CultureInfo.InvariantCulture))
            .ShouldBe(Enumerable.Range(150, 100));
        batch.Lines.Skip(1).ShouldAllBe(line => line.Stream == LogStream.Stdout && line.Rank == 2 && line.Attempt == 5);
    }

    [Fact]
    public async Task Spool_WhileABatchIsUnderWay_SaysForHowLongTheSchedulerTookNone()
    {
        var time = new SteppedTime();
        var spool = new LogSpool(HundredLines, time);
        spool.Add(0, LogStream.Stdout, "first");
        await spool.NextBatchAsync(() => new AppendLogsRequest(), End);
        time.Now += TimeSpan.FromSeconds(12);
        for (var i = 0; i < 101; i++)
            spool.Add(rank: i == 0 ? 1 : 0, LogStream.Stdout, $"{i,10}");
        spool.Acknowledge();
        var batch = await spool.NextBatchAsync(() => new AppendLogsRequest(), End);

        batch.Lines[0].Text.ShouldBe(
            $"1 line dropped here: the scheduler took none for 12 s, and the agent keeps {HundredLines} bytes (Agent:LogSpoolBytes)");
        batch.Lines[0].Rank.ShouldBe(1);
        batch.Lines.Count.ShouldBe(101);
    }

    /// <summary>A trainer that prints a data set: nothing of it is lost while the scheduler is there.</summary>
    [Fact]
    public async Task Burst_Of300000Lines_ArrivesWhole()
    {
        const int lines = 300_000;
        await using var agent = await StartAsync(Scheduler, $"head -c 1 >/dev/null; seq -f 'sample %.0f has been read' {lines}", End);
        await agent.LaunchAsync(ALaunch(), End);
        await Scheduler.Exits.Reader.ReadAsync(End);

        var arrived = Scheduler.LogBatches.SelectMany(batch => batch.Lines).Where(line => line.Stream == LogStream.Stdout);
        arrived.Select(line => line.Text).ShouldBe(Enumerable.Range(1, lines).Select(i => $"sample {i} has been read"));
    }

    [Fact]
    public async Task Spool_GivesTheSameBatchUntilItIsAcknowledged()
    {
        var spool = new LogSpool(1 << 20, TimeProvider.System);
        spool.Add(0, LogStream.Stdout, "one");
        var first = await spool.NextBatchAsync(() => new AppendLogsRequest(), End);
        spool.Add(0, LogStream.Stdout, "two");
        var repeated = await spool.NextBatchAsync(() => new AppendLogsRequest(), End);
        var drained = spool.DrainedAsync();
        spool.Acknowledge();
        var second = await spool.NextBatchAsync(() => new AppendLogsRequest(), End);

        repeated.ShouldBeSameAs(first);
        first.Lines.Count.ShouldBe(1);
        (second.AgentSequence, second.Lines.Single().Text).ShouldBe((2L, "two"));
        drained.IsCompleted.ShouldBeFalse();
        spool.Acknowledge();
        await drained.WaitAsync(End);
    }

    private sealed class SteppedTime : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

        public override DateTimeOffset GetUtcNow() => Now;

        public override long GetTimestamp() => Now.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    }
}
