using Cluster.Orleans.Tests.Support;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace Cluster.Orleans.Tests;

internal interface ITimerGrain : IGrainWithStringKey
{
    /// <summary>The callback notes "tick n" and, with a gate, waits for "tick n go".</summary>
    Task StartAsync(TimeSpan dueTime, TimeSpan period, bool interleave, bool keepAlive, bool gated, bool throws);

    Task ChangeAsync(TimeSpan dueTime, TimeSpan period);

    Task StopAsync();

    Task BusyAsync(string gate);

    Task EndAsync();

    Task PingAsync();

    [AlwaysInterleave]
    Task GlanceAsync();
}

internal sealed class TimerGrain(Journal journal) : Grain, ITimerGrain
{
    private IGrainTimer? _timer;
    private int _ticks;

    public Task StartAsync(TimeSpan dueTime, TimeSpan period, bool interleave, bool keepAlive, bool gated, bool throws)
    {
        _timer = this.RegisterGrainTimer(
            async cancellationToken =>
            {
                var tick = ++_ticks;
                journal.Note($"tick {tick}");
                if (gated)
                {
                    try
                    {
                        await journal.Gate($"tick {tick} go").WaitAsync(cancellationToken);
                        journal.Note($"tick {tick} done");
                    }
                    catch (OperationCanceledException)
                    {
                        journal.Note($"tick {tick} cancelled");
                        throw;
                    }
                }

                if (throws)
                    throw new InvalidOperationException("The tick failed.");
            },
            new GrainTimerCreationOptions { DueTime = dueTime, Period = period, Interleave = interleave, KeepAlive = keepAlive });
        return Task.CompletedTask;
    }

    public Task ChangeAsync(TimeSpan dueTime, TimeSpan period)
    {
        _timer!.Change(dueTime, period);
        return Task.CompletedTask;
    }

    public Task StopAsync()
    {
        _timer!.Dispose();
        return Task.CompletedTask;
    }

    public async Task BusyAsync(string gate)
    {
        journal.Note($"{gate} in");
        await journal.Gate(gate);
        journal.Note($"{gate} out");
    }

    public Task EndAsync()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public Task PingAsync() => Task.CompletedTask;

    public Task GlanceAsync() => Task.CompletedTask;

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        journal.Note($"ended: {reason.ReasonCode}");
        return Task.CompletedTask;
    }
}

public sealed class TimerTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task Timer_FiresWhenDue_AndThenEachPeriodAfterTheLastTickEnded()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(2 * Second, 3 * Second, interleave: false, keepAlive: false, gated: true, throws: false);

        silo.Clock.Advance(1.9 * Second);
        await grain.PingAsync();
        silo.Journal.Notes.ShouldBeEmpty();
        silo.Clock.Advance(0.1 * Second);
        await silo.Journal.Seen("tick 1");
        silo.Clock.Advance(10 * Second); // The tick still runs: the next period has not begun.
        silo.Journal.Open("tick 1 go");
        await grain.PingAsync(); // Queued behind the tick, as any request is.
        silo.Journal.Notes.ShouldBe(["tick 1", "tick 1 done"]);

        silo.Clock.Advance(3 * Second);
        await silo.Journal.Seen("tick 2");
    }

    [Fact]
    public async Task Tick_WaitsForARunningRequest()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(Second, Second, interleave: false, keepAlive: false, gated: false, throws: false);
        var busy = grain.BusyAsync("busy");
        await silo.Journal.Seen("busy in");

        silo.Clock.Advance(Second);
        await grain.GlanceAsync();
        silo.Journal.Open("busy");
        await busy;
        await silo.Journal.Seen("tick 1");

        silo.Journal.Notes.ShouldBe(["busy in", "busy out", "tick 1"]);
    }

    [Fact]
    public async Task InterleavingTick_RunsBesideARequest()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(Second, Second, interleave: true, keepAlive: false, gated: false, throws: false);
        var busy = grain.BusyAsync("busy");
        await silo.Journal.Seen("busy in");

        silo.Clock.Advance(Second);
        await silo.Journal.Seen("tick 1");
        silo.Journal.Open("busy");
        await busy;

        silo.Journal.Notes.ShouldBe(["busy in", "tick 1", "busy out"]);
    }

    [Fact]
    public async Task Tick_ThatThrows_IsLogged_AndTheTimerGoesOn()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(Second, Second, interleave: false, keepAlive: false, gated: false, throws: true);

        silo.Clock.Advance(Second);
        await silo.Journal.Seen("tick 1");
        await grain.PingAsync();
        silo.Clock.Advance(Second);
        await silo.Journal.Seen("tick 2");

        silo.Log.Entries.ShouldContain(entry => entry.Level == LogLevel.Warning && entry.Exception!.Message == "The tick failed.");
    }

    [Fact]
    public async Task Change_MovesTheNextTick()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan, interleave: false, keepAlive: false, gated: false, throws: false);
        silo.Clock.Advance(100 * Second);
        await grain.PingAsync();
        silo.Journal.Notes.ShouldBeEmpty();

        await grain.ChangeAsync(5 * Second, Timeout.InfiniteTimeSpan);
        silo.Clock.Advance(5 * Second);
        await silo.Journal.Seen("tick 1");
        await grain.PingAsync();
        silo.Clock.Advance(100 * Second);
        await grain.PingAsync();

        silo.Journal.Notes.ShouldBe(["tick 1"]);
    }

    [Fact]
    public async Task Dispose_StopsTheTimer_AndCancelsTheTickThatRuns()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(Second, Second, interleave: true, keepAlive: false, gated: true, throws: false);
        silo.Clock.Advance(Second);
        await silo.Journal.Seen("tick 1");

        await grain.StopAsync();
        silo.Clock.Advance(10 * Second);
        await grain.PingAsync();

        silo.Journal.Notes.ShouldBe(["tick 1", "tick 1 cancelled"]);
    }

    [Fact]
    public async Task Timer_DiesWithItsActivation()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        await grain.StartAsync(Second, Second, interleave: false, keepAlive: false, gated: false, throws: false);

        await grain.EndAsync();
        await grain.PingAsync(); // A new activation.
        silo.Clock.Advance(10 * Second);
        await grain.PingAsync();

        silo.Journal.Notes.ShouldBe(["ended: ApplicationRequested"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Ticks_KeepTheActivationOnlyWhenAskedTo(bool keepAlive)
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ITimerGrain>("t");
        var tick = TimeSpan.FromMinutes(4);
        await grain.StartAsync(tick, tick, interleave: false, keepAlive, gated: false, throws: false);

        for (var n = 1; n <= 3; n++)
        {
            silo.Clock.Advance(tick);
            await silo.Journal.Seen($"tick {n}");
            await WaitUntilAsync(() => silo.Clock.TimerDueIn(tick)); // The tick has ended and the next is set.
        }

        silo.Clock.Advance(TimeSpan.FromMinutes(3.9)); // 15.9 minutes since the last request; the age is 15.
        if (keepAlive)
            (await IsAliveAsync(silo)).ShouldBeTrue();
        else
            await silo.Journal.Seen("ended: ActivationIdle");
    }

    [Fact]
    public async Task RegisterGrainTimer_OutsideTheGrainsTurns_IsRefused()
    {
        await using var silo = await TestSilo.StartAsync();

        var message = await silo.Grains.GetGrain<IStrayTimerGrain>(1).RegisterInAThreadOfItsOwnAsync();

        message.ShouldContain("one of its turns");
    }

    private static async Task<bool> IsAliveAsync(TestSilo silo)
    {
        await silo.Grains.GetGrain<ITimerGrain>("other").PingAsync();
        return silo.Silo.ActivationCount == 2;
    }

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        while (!condition())
            await Task.Yield();
    }
}

internal interface IStrayTimerGrain : IGrainWithIntegerKey
{
    Task<string> RegisterInAThreadOfItsOwnAsync();
}

internal sealed class StrayTimerGrain : Grain, IStrayTimerGrain
{
    public async Task<string> RegisterInAThreadOfItsOwnAsync() =>
        await Task.Run(() => Should.Throw<InvalidOperationException>(() =>
            this.RegisterGrainTimer(() => Task.CompletedTask, TimeSpan.Zero, TimeSpan.Zero)).Message);
}
