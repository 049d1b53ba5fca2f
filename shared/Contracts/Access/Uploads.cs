using Grpc.Core;

namespace Cluster.Contracts.Access;

/// <summary>Calls in which the client sends many messages and the server answers once.</summary>
public static class Uploads
{
    /// <summary>Sends all messages and returns the answer; stops sending as soon as the server has answered, with whatever word.</summary>
    /// <remarks>
    /// A server may answer before it has read everything. HttpClient (seen in .NET 10) then now and then never completes a write
    /// that waits for the stream's window, and heeds no cancellation either: so nobody waits for a write alone.
    /// </remarks>
    /// <exception cref="RpcException">The call's status, also where it is a write that failed.</exception>
    public static async Task<TResponse> SendAsync<TRequest, TResponse>(
        this AsyncClientStreamingCall<TRequest, TResponse> call, IAsyncEnumerable<TRequest> messages, CancellationToken cancellationToken)
    {
        await foreach (var message in messages.WithCancellation(cancellationToken))
        {
            if (!await IsSentAsync(call.RequestStream.WriteAsync(message, cancellationToken), call.ResponseAsync))
                return await call.ResponseAsync;
        }

        await IsSentAsync(call.RequestStream.CompleteAsync(), call.ResponseAsync);
        return await call.ResponseAsync;
    }

    private static async Task<bool> IsSentAsync(Task write, Task answer)
    {
        await Task.WhenAny(write, answer);
        // The answer tells why; a write's own failure is looked at only so that nobody reports it as unobserved.
        _ = write.ContinueWith(
            failed => failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return write.IsCompletedSuccessfully;
    }
}
