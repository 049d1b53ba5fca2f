using Cluster.Scheduler.Api;
using Cluster.Scheduler.Persistence;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>How soon a stream ends, by a clock that the test holds.</summary>
public sealed class StreamWatchTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _call = new();
    private Func<RpcException?> _refusal = () => null;
    private int _looks;

    private static CancellationToken Test => TestContext.Current.CancellationToken;

    private static RpcException Revoked => new(new Status(StatusCode.Unauthenticated, "revoked"));

    [Fact]
    public async Task StreamOnWhichNothingHappens_EndsWithinAnInterval()
    {
        await using var watch = Watch();
        var serving = watch.RunAsync(() => Task.Delay(Timeout.Infinite, watch.Token));
        _refusal = () => Revoked;

        _time.Advance(StreamWatch.Interval - TimeSpan.FromMilliseconds(1));
        serving.IsCompleted.ShouldBeFalse();
        _time.Advance(TimeSpan.FromMilliseconds(1));

        (await Should.ThrowAsync<RpcException>(() => serving.WaitAsync(Test))).Status.Detail.ShouldBe("revoked");
        _aborted.Task.IsCompleted.ShouldBeFalse("who takes what is sent is told why");
    }

    [Fact]
    public async Task MessageAfterTheRefusal_IsNotSent_HoweverSoon()
    {
        await using var watch = Watch();
        await watch.CheckAsync();
        _refusal = () => Revoked;

        var end = await Should.ThrowAsync<RpcException>(() => watch.RunAsync(async () => await watch.CheckAsync()));

        end.StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }

    [Fact]
    public async Task ReaderThatTakesNothing_LosesTheCall_AfterAWhile()
    {
        await using var watch = Watch();
        // A write that waits for the reader heeds the call alone.
        var serving = watch.RunAsync(async () =>
        {
            await _aborted.Task.WaitAsync(_call.Token);
            throw new IOException("the call was broken off");
        });
        _refusal = () => Revoked;
        await LookAsync();

        await AdvanceUntilAsync(StreamWatch.Patience, () => _aborted.Task.IsCompleted);

        var end = await Should.ThrowAsync<RpcException>(() => serving.WaitAsync(Test));
        end.StatusCode.ShouldBe(StatusCode.Unauthenticated);
        (StreamWatch.Interval + StreamWatch.Patience).ShouldBeLessThan(TimeSpan.FromSeconds(20), "with 10 s until each scheduler knows");
    }

    [Fact]
    public async Task StoreThatIsAway_EndsNothing_AndIsAskedAgain()
    {
        await using var watch = Watch();
        var serving = watch.RunAsync(() => Task.Delay(Timeout.Infinite, watch.Token));
        _refusal = () => throw new StoreUnavailableException("away", new TimeoutException());
        await LookAsync();
        serving.IsCompleted.ShouldBeFalse();

        _refusal = () => Revoked;
        await LookAsync();

        await Should.ThrowAsync<RpcException>(() => serving.WaitAsync(Test));
    }

    [Fact]
    public async Task CallThatEndsByItself_IsNotLookedAtAnyMore()
    {
        await using (var watch = Watch())
            await watch.RunAsync(() => Task.CompletedTask);

        _time.Advance(10 * StreamWatch.Interval);

        _looks.ShouldBe(0);
    }

    private StreamWatch Watch() => new(
        _call.Token,
        _ =>
        {
            Interlocked.Increment(ref _looks);
            return ValueTask.FromResult(_refusal());
        },
        _aborted.SetResult, _time);

    /// <summary>Returns when it has looked once more, and waits again.</summary>
    private async Task LookAsync()
    {
        var before = Volatile.Read(ref _looks);
        await AdvanceUntilAsync(StreamWatch.Interval, () => Volatile.Read(ref _looks) > before);
    }

    private async Task AdvanceUntilAsync(TimeSpan step, Func<bool> condition)
    {
        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!condition())
        {
            // The delay of a watch may begin a moment after the clock has been moved.
            _time.Advance(step);
            await again.WaitForNextTickAsync(Test);
        }
    }
}
