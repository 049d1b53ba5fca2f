using Grpc.Core;

namespace Grpc.Net.Client;

internal sealed class ResponseStreamReader<TRequest, TResponse>(HttpCall<TRequest, TResponse> call) : IAsyncStreamReader<TResponse>
    where TRequest : class
    where TResponse : class
{
    private int reading;
    private TResponse? current;

    public TResponse Current => current ?? throw new InvalidOperationException("No current message: MoveNext has not been called, or the stream has ended.");

    /// <summary>Cancelling a read cancels the call.</summary>
    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref reading, 1) == 1)
            throw new InvalidOperationException("Can't read the next message because the previous read is still in progress.");
        try
        {
            await using var registration = cancellationToken.UnsafeRegister(_ => call.Cancel("Call canceled by the client."), state: null).ConfigureAwait(false);
            current = await call.ReadNextAsync().ConfigureAwait(false);
            return current is not null;
        }
        finally
        {
            Volatile.Write(ref reading, 0);
        }
    }
}
