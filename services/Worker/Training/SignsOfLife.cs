namespace Cluster.Worker.Training;

/// <summary>
/// Says, from its making to its end, how far a rank is with what its peers wait for: to these, and to the scheduler, which ends an attempt
/// of which it hears nothing.
/// </summary>
internal sealed class SignsOfLife : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _over;
    private readonly Task _giving;

    /// <param name="context">The rank's.</param>
    /// <param name="rendezvous">That its peers wait at.</param>
    /// <param name="progress">Grows as the rank gets further; asked from another thread.</param>
    /// <param name="describe">What it does, by its progress.</param>
    /// <param name="cancellationToken">Ends it too.</param>
    public SignsOfLife(
        TrainerContext context, string rendezvous, Func<long> progress, Func<long, string> describe, CancellationToken cancellationToken)
    {
        _over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _giving = GiveAsync(context, rendezvous, progress, describe, _over.Token);
    }

    public void Dispose()
    {
        _over.Cancel();
        _giving.GetAwaiter().GetResult();
        _over.Dispose();
    }

    /// <summary>While there is progress: a rank that hangs in a dead file system must not seem alive.</summary>
    private static async Task GiveAsync(
        TrainerContext context, string rendezvous, Func<long> progress, Func<long, string> describe, CancellationToken cancellationToken)
    {
        try
        {
            using var timer = new PeriodicTimer(Interval, context.TimeProvider);
            for (var before = 0L; await timer.WaitForNextTickAsync(cancellationToken);)
            {
                var now = progress();
                if (now == before)
                    continue;
                before = now;
                await context.Link.PrepareRendezvousAsync(rendezvous, describe(now), cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The rank is ready.
        }
        catch (Exception e) when (e is Grpc.Core.RpcException or StaleAttemptException)
        {
            // Whoever asks next finds out.
        }
    }
}
