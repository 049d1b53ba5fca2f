namespace Cluster.EndToEnd.Tests;

/// <summary>Ends waits for what never comes, since one of them would keep all tests after it from being run.</summary>
internal static class Patience
{
    /// <summary>Far longer than a job of these tests takes on a busy machine.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(6);

    /// <summary>Does what may never end, and throws at the limit.</summary>
    /// <param name="work">Ends when its token is cancelled.</param>
    /// <param name="findings">What is then to be told.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="TimeoutException">The limit is reached.</exception>
    public static async Task<T> BoundAsync<T>(
        Func<CancellationToken, Task<T>> work, Func<Task<string>> findings, CancellationToken cancellationToken)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(Limit);
        try
        {
            return await work(limited.Token);
        }
        catch (Exception end) when (limited.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"waited {Limit.TotalMinutes} min in vain: {await findings()}", end);
        }
    }
}
