using Cluster.Orleans.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace Cluster.Orleans.Tests;

internal interface IGatedGrain : IGrainWithStringKey
{
    /// <summary>Notes "name in", waits for the gate "name", notes "name out".</summary>
    Task PassAsync(string name);

    [ReadOnly]
    Task ReadAsync(string name);

    [AlwaysInterleave]
    Task GlanceAsync(string name);
}

internal abstract class GatedGrainBase : Grain, IGatedGrain
{
    public Task ReadAsync(string name) => PassAsync(name);

    public Task GlanceAsync(string name) => PassAsync(name);

    public async Task PassAsync(string name)
    {
        var journal = ServiceProvider.GetRequiredService<Journal>();
        journal.Note($"{name} in");
        await journal.Gate(name);
        journal.Note($"{name} out");
    }
}

internal sealed class GatedGrain : GatedGrainBase;

internal interface IReentrantGatedGrain : IGatedGrain;

[Reentrant]
internal sealed class ReentrantGatedGrain : GatedGrainBase, IReentrantGatedGrain;

internal interface IChainGrain : IGrainWithStringKey
{
    /// <summary>Calls the next of the path with the rest of it, and returns the path back.</summary>
    Task<string> FollowAsync(string[] path, bool allow);

    [AlwaysInterleave]
    Task GlanceAsync();
}

internal sealed class ChainGrain(Journal journal) : Grain, IChainGrain
{
    public async Task<string> FollowAsync(string[] path, bool allow)
    {
        if (path.Length == 0)
        {
            journal.Note($"{this.GetPrimaryKeyString()} answered");
            return this.GetPrimaryKeyString();
        }

        using RequestContext.ReentrancySection? section = allow ? RequestContext.AllowCallChainReentrancy() : null;
        var call = GrainFactory.GetGrain<IChainGrain>(path[0]).FollowAsync(path[1..], allow);
        journal.Note($"{this.GetPrimaryKeyString()} asked {path[0]}");
        var rest = await call;
        return $"{this.GetPrimaryKeyString()}{rest}";
    }

    public Task GlanceAsync() => Task.CompletedTask;
}

internal interface ISuppressingGrain : IGrainWithStringKey
{
    Task<string> CallBackAsync(string to);

    Task<string> CallWithAllowanceAsync(string key);

    Task<string> AnswerAsync();
}

internal sealed class SuppressingGrain : Grain, ISuppressingGrain
{
    public async Task<string> CallWithAllowanceAsync(string key)
    {
        using var section = RequestContext.AllowCallChainReentrancy();
        return await GrainFactory.GetGrain<ISuppressingGrain>(key).CallBackAsync(this.GetPrimaryKeyString());
    }

    public async Task<string> CallBackAsync(string to)
    {
        using var section = RequestContext.SuppressCallChainReentrancy();
        return await GrainFactory.GetGrain<ISuppressingGrain>(to).AnswerAsync();
    }

    public Task<string> AnswerAsync() => Task.FromResult("answered");
}

public sealed class ReentrancyTests
{
    [Fact]
    public async Task Request_ToABusyGrain_WaitsForTheOneBefore()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IGatedGrain>("g", typeof(GatedGrain).FullName);

        var first = grain.PassAsync("first");
        await silo.Journal.Seen("first in");
        var second = grain.PassAsync("second");
        silo.Journal.Open("second");
        silo.Journal.Open("glance");
        await grain.GlanceAsync("glance"); // Arrived after second, so second has had its chance.
        silo.Journal.Open("first");
        await Task.WhenAll(first, second);

        silo.Journal.Notes.ShouldBe(["first in", "glance in", "glance out", "first out", "second in", "second out"]);
    }

    [Fact]
    public async Task ReadOnlyRequests_RunBesideEachOther_ButNotBesideAWrite()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IGatedGrain>("g", typeof(GatedGrain).FullName);

        var read = grain.ReadAsync("read");
        await silo.Journal.Seen("read in");
        var write = grain.PassAsync("write");
        silo.Journal.Open("other");
        await grain.ReadAsync("other");
        silo.Journal.Open("write");
        silo.Journal.Open("read");
        await Task.WhenAll(read, write);

        silo.Journal.Notes.ShouldBe(["read in", "other in", "other out", "read out", "write in", "write out"]);
    }

    [Fact]
    public async Task ReadOnlyRequest_BehindAWrite_Waits()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IGatedGrain>("g", typeof(GatedGrain).FullName);

        var write = grain.PassAsync("write");
        await silo.Journal.Seen("write in");
        var read = grain.ReadAsync("read");
        silo.Journal.Open("read");
        silo.Journal.Open("glance");
        await grain.GlanceAsync("glance");
        silo.Journal.Open("write");
        await Task.WhenAll(write, read);

        silo.Journal.Notes.ShouldBe(["write in", "glance in", "glance out", "write out", "read in", "read out"]);
    }

    [Fact]
    public async Task RequestsToAReentrantGrain_RunBesideEachOther()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IReentrantGatedGrain>("g");

        var first = grain.PassAsync("first");
        await silo.Journal.Seen("first in");
        silo.Journal.Open("second");
        await grain.PassAsync("second");
        silo.Journal.Open("first");
        await first;

        silo.Journal.Notes.ShouldBe(["first in", "second in", "second out", "first out"]);
    }

    [Fact]
    public async Task Chain_ThroughDifferentGrains_NeedsNoReentrancy()
    {
        await using var silo = await TestSilo.StartAsync();

        (await silo.Grains.GetGrain<IChainGrain>("a").FollowAsync(["b", "c", "d"], allow: false)).ShouldBe("abcd");
    }

    [Fact]
    public async Task FanOutAndIn_OfManyCallers_OverSharedGrains_Ends()
    {
        await using var silo = await TestSilo.StartAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(i =>
            silo.Grains.GetGrain<IChainGrain>($"a{i % 10}").FollowAsync([$"b{i % 3}", "c"], allow: false)));

        answers.ShouldBe(Enumerable.Range(0, 100).Select(i => $"a{i % 10}b{i % 3}c"));
    }

    [Fact]
    public async Task Cycle_WithCallChainReentrancy_Ends()
    {
        await using var silo = await TestSilo.StartAsync();

        (await silo.Grains.GetGrain<IChainGrain>("a").FollowAsync(["b", "a", "b", "a"], allow: true)).ShouldBe("ababa");
    }

    [Fact]
    public async Task Cycle_WithoutIt_EndsByTheResponseTimeout_AndNamesGrainAndMethod()
    {
        await using var silo = await TestSilo.StartAsync();
        var call = silo.Grains.GetGrain<IChainGrain>("a").FollowAsync(["b", "a"], allow: false);
        await silo.Journal.Seen("b asked a");
        await silo.Grains.GetGrain<IChainGrain>("a").GlanceAsync(); // Arrived after b's request, which has had its chance.
        silo.Journal.Notes.ShouldBe(["a asked b", "b asked a"]);

        silo.Clock.Advance(TimeSpan.FromSeconds(30));

        var exception = await call.ShouldThrowAsync<TimeoutException>();
        exception.Message.ShouldContain("IChainGrain/FollowAsync on chain/a; it was still running");
    }

    [Fact]
    public async Task Cycle_WithReentrancySuppressedOnTheWay_EndsByTheResponseTimeout()
    {
        await using var silo = await TestSilo.StartAsync();
        var call = silo.Grains.GetGrain<ISuppressingGrain>("a").CallWithAllowanceAsync("b");

        while (!call.IsCompleted)
        {
            silo.Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await call.ShouldThrowAsync<TimeoutException>();
    }
}
