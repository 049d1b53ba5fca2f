namespace Cluster.EndToEnd.Tests;

/// <summary>Waits for what another process brings about, where nothing can be awaited.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static Task BeTrueAsync(Func<bool> condition, string what, CancellationToken cancellationToken) =>
        BeTrueAsync(condition, () => what, cancellationToken);

    public static Task BeTrueAsync(Func<bool> condition, Func<string> what, CancellationToken cancellationToken) =>
        BeTrueAsync(() => Task.FromResult(condition()), what, cancellationToken);

    /// <param name="condition">What is waited for.</param>
    /// <param name="what">The same in words, as it then is.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task BeTrueAsync(Func<Task<bool>> condition, Func<string> what, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var end = DateTimeOffset.UtcNow + Patience;
        while (!await condition())
        {
            if (DateTimeOffset.UtcNow > end)
                throw new TimeoutException($"waited {Patience.TotalSeconds} s in vain until {what()}");
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }
}
