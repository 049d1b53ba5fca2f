namespace Cluster.Worker.Agent;

internal static class WaitForToken
{
    /// <summary>Ends when <paramref name="signal"/> is cancelled.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled first.</exception>
    public static async Task WaitAsync(this CancellationToken signal, CancellationToken cancellationToken)
    {
        var signalled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = signal.Register(signalled.SetResult);
        await signalled.Task.WaitAsync(cancellationToken);
    }
}
