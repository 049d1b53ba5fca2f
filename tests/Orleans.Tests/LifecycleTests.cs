using Cluster.Orleans.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;

namespace Cluster.Orleans.Tests;

internal interface ILifeGrain : IGrainWithGuidKey
{
    /// <summary>A number that each activation has for itself.</summary>
    Task<int> PingAsync();

    Task DelayAsync(TimeSpan time);

    Task EndAsync();

    /// <summary>Asks for deactivation, then waits for the gate before it returns.</summary>
    Task EndAfterAsync(string gate);

    Task WaitAsync(string gate);
}

internal class LifeGrain(Journal journal, IServiceProvider services) : Grain, ILifeGrain, IAsyncDisposable
{
    private static int activations;

    private readonly int _number = Interlocked.Increment(ref activations);

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        ReferenceEquals(services.GetRequiredService<Scoped>(), ServiceProvider.GetRequiredService<Scoped>()).ShouldBeTrue();
        await Task.Yield();
        journal.Note("activated");
        var failure = services.GetRequiredService<ActivationFailures>();
        if (failure.Remaining-- > 0)
            throw new InvalidDataException("The store cannot be reached.");
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        journal.Note($"deactivating: {reason.ReasonCode}");
        await Task.Yield();
        if (services.GetRequiredService<ActivationFailures>().DeactivationHangs)
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
        journal.Note("deactivated");
    }

    public Task<int> PingAsync() => Task.FromResult(_number);

    public Task DelayAsync(TimeSpan time)
    {
        DelayDeactivation(time);
        return Task.CompletedTask;
    }

    public Task EndAsync()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public async Task EndAfterAsync(string gate)
    {
        DeactivateOnIdle();
        journal.Note("asked to end");
        await journal.Gate(gate);
        journal.Note("request done");
    }

    public async Task WaitAsync(string gate)
    {
        journal.Note("request in");
        await journal.Gate(gate);
        journal.Note("request done");
    }

    public ValueTask DisposeAsync()
    {
        journal.Note("disposed");
        return ValueTask.CompletedTask;
    }
}

internal interface IPatientGrain : ILifeGrain;

[CollectionAgeLimit(Hours = 2)]
internal sealed class PatientGrain(Journal journal, IServiceProvider services) : LifeGrain(journal, services), IPatientGrain;

internal interface IImmortalGrain : ILifeGrain;

[KeepAlive]
internal sealed class ImmortalGrain(Journal journal, IServiceProvider services) : LifeGrain(journal, services), IImmortalGrain;

internal sealed class Scoped;

internal sealed class ActivationFailures
{
    public int Remaining { get; set; }

    public bool DeactivationHangs { get; set; }
}

public sealed class LifecycleTests
{
    private static readonly Guid Key = Guid.Parse("0f8fad5b-d9cb-469f-a165-70867728950e");
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task FirstCall_Activates_LaterCallsDoNot()
    {
        await using var silo = await StartAsync();
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key, typeof(LifeGrain).FullName);

        var numbers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => grain.PingAsync()));

        numbers.Distinct().Count().ShouldBe(1);
        silo.Journal.Notes.ShouldBe(["activated"]);
    }

    [Fact]
    public async Task Reference_AloneActivatesNothing()
    {
        await using var silo = await StartAsync();

        silo.Grains.GetGrain<ILifeGrain>(Key).ToString()!.ShouldContain("life/0f8fad5bd9cb469fa16570867728950e");

        silo.Silo.ActivationCount.ShouldBe(0);
    }

    [Fact]
    public async Task IdleActivation_IsCollected_AndTheNextCallMakesAnother()
    {
        await using var silo = await StartAsync();
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);
        var first = await grain.PingAsync();

        silo.Clock.Advance(14 * Minute);
        (await grain.PingAsync()).ShouldBe(first);
        silo.Clock.Advance(14 * Minute); // Idle since the last call, not since the first.
        (await grain.PingAsync()).ShouldBe(first);
        silo.Clock.Advance(15 * Minute);
        await silo.Journal.Seen("disposed");

        (await grain.PingAsync()).ShouldNotBe(first);
        silo.Journal.Notes.ShouldBe(["activated", "deactivating: ActivationIdle", "deactivated", "disposed", "activated"]);
    }

    [Fact]
    public async Task BusyActivation_IsNotCollected()
    {
        await using var silo = await StartAsync();
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);
        var request = grain.WaitAsync("gate");
        await silo.Journal.Seen("request in");

        silo.Clock.Advance(60 * Minute);
        silo.Journal.Open("gate");
        await Should.ThrowAsync<TimeoutException>(request);
        await grain.PingAsync();

        silo.Journal.Notes.ShouldBe(["activated", "request in", "request done"]);
    }

    [Fact]
    public async Task CollectionAge_ComesFromOptionsAndAttributes()
    {
        await using var silo = await StartAsync(builder => builder.Configure<GrainCollectionOptions>(options =>
            (options.CollectionAge, options.CollectionQuantum) = (TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10))));
        await silo.Grains.GetGrain<ILifeGrain>(Key).PingAsync();
        var patient = await silo.Grains.GetGrain<IPatientGrain>(Key).PingAsync();
        var immortal = await silo.Grains.GetGrain<IImmortalGrain>(Key).PingAsync();

        silo.Clock.Advance(TimeSpan.FromSeconds(40));
        await silo.Journal.Seen("disposed");
        (await silo.Grains.GetGrain<IPatientGrain>(Key).PingAsync()).ShouldBe(patient);
        silo.Clock.Advance(TimeSpan.FromHours(3));
        (await silo.Grains.GetGrain<IPatientGrain>(Key).PingAsync()).ShouldNotBe(patient);
        silo.Clock.Advance(TimeSpan.FromDays(1));
        (await silo.Grains.GetGrain<IImmortalGrain>(Key).PingAsync()).ShouldBe(immortal);
    }

    [Fact]
    public async Task DelayDeactivation_HoldsOffCollection_AndZeroWithdrawsIt()
    {
        await using var silo = await StartAsync();
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);
        await grain.DelayAsync(TimeSpan.FromHours(2));
        var first = await grain.PingAsync();

        silo.Clock.Advance(119 * Minute);
        (await grain.PingAsync()).ShouldBe(first);
        await grain.DelayAsync(TimeSpan.Zero);
        silo.Clock.Advance(15 * Minute);
        await silo.Journal.Seen("disposed");
        (await grain.PingAsync()).ShouldNotBe(first);
    }

    [Fact]
    public async Task DeactivateOnIdle_WaitsForTheRequest_AndSendsTheQueueToTheNextActivation()
    {
        await using var silo = await StartAsync();
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);
        var first = await grain.PingAsync();
        var ending = grain.EndAfterAsync("gate");
        await silo.Journal.Seen("asked to end");
        var queued = Enumerable.Range(0, 5).Select(_ => grain.PingAsync()).ToArray();

        silo.Journal.Open("gate");
        await ending;
        var answers = await Task.WhenAll(queued);

        answers.Distinct().ShouldHaveSingleItem().ShouldNotBe(first);
        silo.Journal.Notes.ShouldBe(
            ["activated", "asked to end", "request done", "deactivating: ApplicationRequested", "deactivated", "disposed", "activated"]);
    }

    [Fact]
    public async Task FailedActivation_IsReportedToEveryWaitingCaller_AndTheNextCallTriesAnew()
    {
        await using var silo = await StartAsync(failures: new ActivationFailures { Remaining = 1 });
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);

        var exception = await Should.ThrowAsync<InvalidDataException>(grain.PingAsync());

        exception.Message.ShouldBe("The store cannot be reached.");
        exception.StackTrace!.ShouldContain(nameof(LifeGrain.OnActivateAsync));
        await grain.PingAsync();
        silo.Journal.Notes.ShouldBe(["activated", "disposed", "activated"]);
    }

    [Fact]
    public async Task ConstructorThatThrows_IsAFailedActivation()
    {
        await using var silo = await TestSilo.StartAsync(); // Without the services that the grain needs.

        var exception = await Should.ThrowAsync<InvalidOperationException>(silo.Grains.GetGrain<IUnbuildableGrain>(1).PingAsync());

        exception.Message.ShouldContain(nameof(Scoped));
    }

    [Fact]
    public async Task Stop_DrainsRequests_AndDeactivatesAll()
    {
        await using var silo = await StartAsync();
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);
        var request = grain.WaitAsync("gate");
        await silo.Journal.Seen("request in");

        var stop = silo.StopAsync(TestContext.Current.CancellationToken);
        silo.Journal.Open("gate");
        await request;
        await stop;

        silo.Journal.Notes.ShouldBe(["activated", "request in", "request done", "deactivating: ShuttingDown", "deactivated", "disposed"]);
        (await Should.ThrowAsync<SiloUnavailableException>(grain.PingAsync())).Message.ShouldContain("stopping");
    }

    [Fact]
    public async Task Stop_WhenTheHostsTimeIsUp_CancelsTheGrainsDeactivation()
    {
        await using var silo = await StartAsync(failures: new ActivationFailures { DeactivationHangs = true });
        await silo.Grains.GetGrain<ILifeGrain>(Key).PingAsync();
        using var patience = new CancellationTokenSource();

        var stop = silo.StopAsync(patience.Token);
        await silo.Journal.Seen("deactivating: ShuttingDown");
        await patience.CancelAsync();
        await Should.NotThrowAsync(stop);

        silo.Log.Entries.ShouldContain(entry => entry.Text.Contains("life/"));
    }

    [Fact]
    public async Task Stop_WhenARequestNeverEnds_GivesUp_AndTellsTheCaller()
    {
        await using var silo = await StartAsync();
        var request = silo.Grains.GetGrain<ILifeGrain>(Key).WaitAsync("never");
        await silo.Journal.Seen("request in");
        using var patience = new CancellationTokenSource();

        var stop = silo.StopAsync(patience.Token);
        await patience.CancelAsync();
        await stop;

        (await Should.ThrowAsync<SiloUnavailableException>(request)).Message.ShouldContain("life/");
        silo.Log.Entries.ShouldContain(entry => entry.Text.Contains("did not end"));
    }

    [Fact]
    public async Task HangingDeactivation_EndsByItsTimeout()
    {
        await using var silo = await StartAsync(failures: new ActivationFailures { DeactivationHangs = true });
        var grain = silo.Grains.GetGrain<ILifeGrain>(Key);
        await grain.EndAsync();
        await silo.Journal.Seen("deactivating: ApplicationRequested");

        silo.Clock.Advance(TimeSpan.FromSeconds(31));
        await silo.Journal.Seen("disposed");
        silo.Log.Entries.ShouldContain(entry => entry.Text.Contains("OnDeactivateAsync"));
    }

    [Fact]
    public async Task NoRequestIsLostOrRunTwice_WhileActivationsComeAndGo()
    {
        await using var silo = await StartAsync();
        var calls = Enumerable.Range(0, 3000).Select(i => Task.Run(
            () => silo.Grains.GetGrain<IShortLivedGrain>(i % 7).RecordAsync(i, last: i % 5 == 0), TestContext.Current.CancellationToken));

        await Task.WhenAll(calls);

        silo.Journal.Notes.Select(int.Parse).Order().ShouldBe(Enumerable.Range(0, 3000));
    }

    [Fact]
    public async Task GrainWithoutTheBaseClass_GetsItsContext_AndTheSameLife()
    {
        await using var silo = await TestSilo.StartAsync();

        (await silo.Grains.GetGrain<IPlainGrain>("key").IdentifyAsync()).ShouldBe("plain/key active");
    }

    private static Task<TestSilo> StartAsync(Action<ISiloBuilder>? configure = null, ActivationFailures? failures = null) =>
        TestSilo.StartAsync(builder =>
        {
            builder.Services.AddScoped<Scoped>();
            builder.Services.AddSingleton(failures ?? new ActivationFailures());
            configure?.Invoke(builder);
        });
}

internal interface IUnbuildableGrain : IGrainWithIntegerKey
{
    Task PingAsync();
}

internal sealed class UnbuildableGrain : Grain, IUnbuildableGrain
{
    public UnbuildableGrain(Scoped missing) => _ = missing;

    public Task PingAsync() => Task.CompletedTask;
}

internal interface IShortLivedGrain : IGrainWithIntegerKey
{
    Task RecordAsync(int number, bool last);
}

internal sealed class ShortLivedGrain(Journal journal) : Grain, IShortLivedGrain
{
    public async Task RecordAsync(int number, bool last)
    {
        await Task.Yield();
        journal.Note($"{number}");
        if (last)
            DeactivateOnIdle();
    }

    public override async Task OnActivateAsync(CancellationToken cancellationToken) => await Task.Yield();
}

internal interface IPlainGrain : IGrainWithStringKey
{
    Task<string> IdentifyAsync();
}

internal sealed class PlainGrain(IGrainContext context) : IGrainBase, IPlainGrain
{
    private string _state = "new";

    public IGrainContext GrainContext => context;

    public Task OnActivateAsync(CancellationToken token)
    {
        _state = "active";
        return Task.CompletedTask;
    }

    public Task<string> IdentifyAsync() => Task.FromResult($"{context.GrainId} {_state}");
}
