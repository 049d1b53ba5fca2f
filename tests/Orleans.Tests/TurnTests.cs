using Cluster.Orleans.Tests.Support;
using Orleans;
using Orleans.Concurrency;

namespace Cluster.Orleans.Tests;

internal interface ICounterGrain : IGrainWithIntegerKey
{
    Task IncrementAsync(int awaits);

    Task AppendAsync(int number);

    ValueTask<int> GetAsync();

    ValueTask<int[]> GetNumbersAsync();

    ValueTask<bool> StaysOnItsSchedulerAsync();
}

internal sealed class CounterGrain(Journal journal) : Grain, ICounterGrain
{
    private readonly List<int> _numbers = [];
    private int _count;

    public async Task IncrementAsync(int awaits)
    {
        var before = _count;
        for (var i = 0; i < awaits; i++)
            await Task.Yield();
        _count = before + 1;
    }

    public Task AppendAsync(int number)
    {
        _numbers.Add(number);
        return Task.CompletedTask;
    }

    public ValueTask<int> GetAsync() => ValueTask.FromResult(_count);

    public async ValueTask<int[]> GetNumbersAsync()
    {
        await Task.Yield();
        return [.. _numbers];
    }

    public async ValueTask<bool> StaysOnItsSchedulerAsync()
    {
        var before = TaskScheduler.Current;
        journal.Note("waiting");
        await journal.Gate("go");
        var afterForeignCompletion = TaskScheduler.Current;
        await Task.Run(() => { });
        return before != TaskScheduler.Default && before == afterForeignCompletion && before == TaskScheduler.Current;
    }
}

internal interface IOverlapGrain : IGrainWithIntegerKey
{
    Task WorkAsync();

    Task<int> GreatestOverlapAsync();
}

/// <summary>Counts how many of its turns run at the same instant.</summary>
[Reentrant]
internal sealed class OverlapGrain : Grain, IOverlapGrain
{
    private int _inside;
    private int _greatest;

    public async Task WorkAsync()
    {
        for (var i = 0; i < 20; i++)
        {
            _greatest = Math.Max(_greatest, Interlocked.Increment(ref _inside));
            Thread.SpinWait(200);
            Interlocked.Decrement(ref _inside);
            await Task.Yield();
        }
    }

    public Task<int> GreatestOverlapAsync() => Task.FromResult(_greatest);
}

public sealed class TurnTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Increments_FromManyThreads_LoseNothing(int awaits)
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ICounterGrain>(1);
        await grain.GetAsync(); // Active from here on: requests meet each other, not the activation.

        await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => Task.Run(() => grain.IncrementAsync(awaits), TestContext.Current.CancellationToken)));

        (await grain.GetAsync()).ShouldBe(500);
    }

    [Fact]
    public async Task Turns_OfInterleavingRequests_NeverRunAtTheSameTime()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IOverlapGrain>(1);

        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => grain.WorkAsync()));

        (await grain.GreatestOverlapAsync()).ShouldBe(1);
    }

    [Fact]
    public async Task Requests_OfOneCaller_RunInTheOrderOfTheirCalls()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<ICounterGrain>(1);

        await Task.WhenAll(Enumerable.Range(0, 200).Select(grain.AppendAsync));

        (await grain.GetNumbersAsync()).ShouldBe(Enumerable.Range(0, 200));
    }

    [Fact]
    public async Task Await_OfWorkDoneElsewhere_ComesBackToTheActivation()
    {
        await using var silo = await TestSilo.StartAsync();
        var answer = silo.Grains.GetGrain<ICounterGrain>(1).StaysOnItsSchedulerAsync();
        await silo.Journal.Seen("waiting");

        silo.Journal.Open("go");

        (await answer).ShouldBeTrue();
    }

    [Fact]
    public async Task Grains_WithDifferentKeys_ShareNothing()
    {
        await using var silo = await TestSilo.StartAsync();

        await silo.Grains.GetGrain<ICounterGrain>(1).IncrementAsync(0);

        (await silo.Grains.GetGrain<ICounterGrain>(2).GetAsync()).ShouldBe(0);
        (await silo.Grains.GetGrain<ICounterGrain>(1).GetAsync()).ShouldBe(1);
    }
}
