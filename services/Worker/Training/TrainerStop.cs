namespace Cluster.Worker.Training;

/// <summary>The agent's wish that the trainer stop: it comes at most once, and leaves time for a last checkpoint.</summary>
public sealed class TrainerStop(TimeProvider timeProvider) : IDisposable
{
    private readonly CancellationTokenSource _requested = new();
    private volatile Order? _order;

    /// <summary>Cancelled when the wish arrives. Look at it between steps.</summary>
    public CancellationToken Requested => _requested.Token;

    public bool IsRequested => _order is not null;

    /// <summary>Why, in words. Empty until requested.</summary>
    public string Reason => _order?.Reason ?? "";

    /// <summary>Time left until the agent kills the process; zero when it is up, and before the wish arrives.</summary>
    public TimeSpan GraceLeft =>
        _order is { } order ? Max(order.Grace - timeProvider.GetElapsedTime(order.At), TimeSpan.Zero) : TimeSpan.Zero;

    /// <summary>Passes the wish on. A second one changes nothing.</summary>
    public void Request(string reason, TimeSpan grace)
    {
        if (Interlocked.CompareExchange(ref _order, new Order(reason, grace, timeProvider.GetTimestamp()), null) is null)
            _requested.Cancel();
    }

    public void Dispose() => _requested.Dispose();

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private sealed record Order(string Reason, TimeSpan Grace, long At);
}
