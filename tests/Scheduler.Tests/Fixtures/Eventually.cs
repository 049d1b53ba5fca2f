namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>For the few effects that nothing tells of when they are there.</summary>
public static class Eventually
{
    /// <summary>Returns when it holds; if it does not within a minute, the test fails.</summary>
    public static Task HoldsAsync(Func<bool> condition) => HoldsAsync(() => Task.FromResult(condition()));

    /// <inheritdoc cref="HoldsAsync(Func{bool})"/>
    public static async Task HoldsAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!await condition())
            await again.WaitForNextTickAsync(limit.Token);
    }
}
