using Cluster.Orleans.Tests.Support;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;
using Orleans.Serialization;

namespace Cluster.Orleans.Tests;

[GenerateSerializer]
internal sealed class QuotaExceededException(string message, Exception? inner, int limit, int wanted) : Exception(message, inner)
{
    [Id(0)]
    public int Limit { get; } = limit;

    [Id(1)]
    public int Wanted { get; } = wanted;
}

internal sealed class UnmarkedException(string message) : Exception(message);

internal interface ICalleeGrain : IGrainWithIntegerKey
{
    Task ThrowAsync(string kind);

    ValueTask ThrowAtOnceAsync();

    Task<string> WaitAsync(string gate, CancellationToken cancellationToken);

    Task BlockAsync(string gate);

    [ResponseTimeout("00:00:03")]
    Task HangAsync();

    Task NullTaskAsync();

    [OneWay]
    Task NotifyAsync(string gate);

    Task<string?> ContextAsync(string key);

    Task<string?> AmbientAsync();

    Task<T> EchoAsync<T>(T value);
}

internal sealed class CalleeGrain(Journal journal) : Grain, ICalleeGrain
{
    public static readonly AsyncLocal<string?> Ambient = new();
    private Task? NoTask { get; } = null;

    public async Task ThrowAsync(string kind)
    {
        await Task.Yield();
        throw kind switch
        {
            "framework" => new ArgumentOutOfRangeException(nameof(kind), "More than the node has.") { Data = { ["node"] = "n1" } },
            "own" => new QuotaExceededException("Too many.", new InvalidOperationException("inner"), limit: 4, wanted: 9),
            "aggregate" => new AggregateException("Both.", new FormatException("a"), new QuotaExceededException("b", null, 1, 2)),
            "unmarked" => new UnmarkedException("Nobody can read this type elsewhere."),
            _ => new OperationCanceledException("Cancelled inside."),
        };
    }

    public ValueTask ThrowAtOnceAsync() => throw new NotSupportedException("At once.");

    public async Task<string> WaitAsync(string gate, CancellationToken cancellationToken)
    {
        var turn = TaskScheduler.Current;
        await using var registration = cancellationToken.Register(() => journal.Note($"callee cancelled {TaskScheduler.Current == turn}"));
        journal.Note("callee in");
        await journal.Gate(gate);
        return "done";
    }

    public async Task BlockAsync(string gate)
    {
        journal.Note("callee in");
        await journal.Gate(gate);
    }

    public Task HangAsync() => journal.Gate("for ever");

    public Task NullTaskAsync() => NoTask!;

    public async Task NotifyAsync(string gate)
    {
        await journal.Gate(gate);
        journal.Note("notified");
        throw new InvalidOperationException("Nobody hears this but the log.");
    }

    public Task<string?> ContextAsync(string key)
    {
        var value = RequestContext.Get(key) as string;
        RequestContext.Set(key, "changed by the callee");
        return Task.FromResult(value);
    }

    public Task<string?> AmbientAsync() => Task.FromResult(Ambient.Value);

    public Task<T> EchoAsync<T>(T value) => Task.FromResult(value);
}

public sealed class CallTests
{
    [Fact]
    public async Task FrameworkException_ArrivesWithTypeMessageDataAndStack()
    {
        await using var silo = await TestSilo.StartAsync();

        var exception = await Should.ThrowAsync<ArgumentOutOfRangeException>(silo.Grains.GetGrain<ICalleeGrain>(1).ThrowAsync("framework"));

        exception.Message.ShouldBe("More than the node has. (Parameter 'kind')");
        exception.Data["node"].ShouldBe("n1");
        exception.StackTrace!.ShouldContain(nameof(CalleeGrain.ThrowAsync));
    }

    [Fact]
    public async Task OwnException_ArrivesWithItsMembersAndInnerException()
    {
        await using var silo = await TestSilo.StartAsync();

        var exception = await Should.ThrowAsync<QuotaExceededException>(silo.Grains.GetGrain<ICalleeGrain>(1).ThrowAsync("own"));

        (exception.Limit, exception.Wanted, exception.Message).ShouldBe((4, 9, "Too many."));
        exception.InnerException.ShouldBeOfType<InvalidOperationException>().Message.ShouldBe("inner");
    }

    [Fact]
    public async Task AggregateException_ArrivesWithAllItsParts()
    {
        await using var silo = await TestSilo.StartAsync();

        var exception = await Should.ThrowAsync<AggregateException>(silo.Grains.GetGrain<ICalleeGrain>(1).ThrowAsync("aggregate"));

        exception.InnerExceptions.Select(inner => inner.GetType()).ShouldBe([typeof(FormatException), typeof(QuotaExceededException)]);
    }

    [Fact]
    public async Task ExceptionOfAnUnmarkedType_ArrivesAsAFallbackThatNamesIt()
    {
        await using var silo = await TestSilo.StartAsync();

        var exception = await Should.ThrowAsync<UnavailableExceptionFallbackException>(silo.Grains.GetGrain<ICalleeGrain>(1).ThrowAsync("unmarked"));

        exception.ExceptionType.ShouldBe(typeof(UnmarkedException).FullName);
        exception.Message.ShouldContain("Nobody can read this type elsewhere.");
        exception.StackTrace!.ShouldContain(nameof(CalleeGrain.ThrowAsync));
    }

    [Fact]
    public async Task CancellationInsideTheCallee_ArrivesAsSuch()
    {
        await using var silo = await TestSilo.StartAsync();

        (await Should.ThrowAsync<OperationCanceledException>(silo.Grains.GetGrain<ICalleeGrain>(1).ThrowAsync("cancelled"))).Message.ShouldBe("Cancelled inside.");
    }

    [Fact]
    public async Task MethodThatThrowsBeforeItsFirstAwait_OrReturnsNoTask_FailsTheCallOnly()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ICalleeGrain>(1);

        var call = grain.ThrowAtOnceAsync(); // Does not throw here.

        (await Should.ThrowAsync<NotSupportedException>(call.AsTask())).Message.ShouldBe("At once.");
        (await Should.ThrowAsync<InvalidOperationException>(grain.NullTaskAsync())).Message.ShouldContain("ICalleeGrain/NullTaskAsync");
        (await grain.EchoAsync(7)).ShouldBe(7);
    }

    [Fact]
    public async Task Timeout_NamesGrainMethodAndTime_AndTheGrainGoesOn()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ICalleeGrain>(10);
        var running = grain.BlockAsync("gate");
        await silo.Journal.Seen("callee in");
        var waiting = grain.EchoAsync("never runs");

        silo.Clock.Advance(TimeSpan.FromSeconds(30));

        var exception = await Should.ThrowAsync<TimeoutException>(running);
        exception.Message.ShouldContain("00:00:30");
        exception.Message.ShouldContain("ICalleeGrain/BlockAsync on callee/A");
        exception.Message.ShouldContain("still running");
        (await Should.ThrowAsync<TimeoutException>(waiting)).Message.ShouldContain("waiting for its turn");
        silo.Journal.Open("gate");
        (await grain.EchoAsync("runs")).ShouldBe("runs");
    }

    [Fact]
    public async Task ResponseTimeoutOfAMethod_ReplacesTheOptions()
    {
        await using var silo = await TestSilo.StartAsync();
        var call = silo.Grains.GetGrain<ICalleeGrain>(1).HangAsync();

        silo.Clock.Advance(TimeSpan.FromSeconds(3));

        await Should.ThrowAsync<TimeoutException>(call);
    }

    [Fact]
    public async Task CancelledCall_EndsAtOnce_AndTheCalleesTokenIsCancelledInATurnOfItsOwn()
    {
        await using var silo = await TestSilo.StartAsync();
        using var cancellation = new CancellationTokenSource();
        var call = silo.Grains.GetGrain<ICalleeGrain>(1).WaitAsync("gate", cancellation.Token);
        await silo.Journal.Seen("callee in");

        await cancellation.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(call);
        await silo.Journal.Seen("callee cancelled True");
    }

    [Fact]
    public async Task CallCancelledWhileItWaits_NeverRuns()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ICalleeGrain>(1);
        using var cancellation = new CancellationTokenSource();
        var running = grain.BlockAsync("first");
        await silo.Journal.Seen("callee in");
        var waiting = grain.WaitAsync("second", cancellation.Token);

        await cancellation.CancelAsync();
        silo.Journal.Open("first");
        await running;
        await Should.ThrowAsync<OperationCanceledException>(waiting);
        await Should.ThrowAsync<OperationCanceledException>(grain.WaitAsync("third", cancellation.Token));
        await grain.EchoAsync(0);

        silo.Journal.Notes.ShouldBe(["callee in"]);
    }

    [Fact]
    public async Task OneWayCall_EndsBeforeTheCallee_AndItsFailureIsLogged()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ICalleeGrain>(1);

        await grain.NotifyAsync("gate");
        silo.Journal.Notes.ShouldBeEmpty();
        silo.Journal.Open("gate");
        await grain.EchoAsync(0);

        silo.Log.Entries.ShouldContain(entry => entry.Text.Contains("NotifyAsync") && entry.Exception is InvalidOperationException);
    }

    [Fact]
    public async Task RequestContext_TravelsToTheCallee_AndNotBack()
    {
        await using var silo = await TestSilo.StartAsync();
        RequestContext.Set("job", "j1");

        (await silo.Grains.GetGrain<ICalleeGrain>(1).ContextAsync("job")).ShouldBe("j1");

        RequestContext.Get("job").ShouldBe("j1");
        RequestContext.Remove("job").ShouldBeTrue();
        (await silo.Grains.GetGrain<ICalleeGrain>(1).ContextAsync("job")).ShouldBeNull();
    }

    [Fact]
    public async Task OtherAsyncLocals_DoNotTravel()
    {
        await using var silo = await TestSilo.StartAsync();
        CalleeGrain.Ambient.Value = "here";

        (await silo.Grains.GetGrain<ICalleeGrain>(1).AmbientAsync()).ShouldBeNull();
        CalleeGrain.Ambient.Value.ShouldBe("here");
    }
}
